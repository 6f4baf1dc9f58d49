"""`batchai-recipes cluster show`."""

from batchai_recipes.cli.cluster.description import properties, wire
from batchai_recipes.cli.connecting import EnvFile, ProfileName, StateDir, connect
from batchai_recipes.cli.console import AsJson, show_json, show_properties
from batchai_recipes.cli.finding import ClusterName, Finder, Group, WorkspaceName


def show(
    name: ClusterName,
    resource_group: Group = None,
    workspace: WorkspaceName = None,
    *,
    as_json: AsJson = False,
    profile: ProfileName = None,
    env_file: EnvFile = None,
    state_dir: StateDir = None,
) -> None:
    """Show a cluster: its nodes and their states, what it mounts, what went wrong."""
    with connect(profile, env_file, state_dir) as connection:
        _, cluster = Finder(connection, resource_group, workspace).cluster(name)
    if as_json:
        show_json(wire(cluster))
    else:
        show_properties(properties(cluster))

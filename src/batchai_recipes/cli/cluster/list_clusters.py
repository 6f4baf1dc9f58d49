"""`batchai-recipes cluster list`."""

from batchai_recipes.cli.cluster.description import COLUMNS, row, wire
from batchai_recipes.cli.connecting import EnvFile, ProfileName, StateDir, connect
from batchai_recipes.cli.console import AsJson, show_json, show_table, tell
from batchai_recipes.cli.finding import Finder, Group, WorkspaceName


def list_clusters(
    resource_group: Group = None,
    workspace: WorkspaceName = None,
    *,
    as_json: AsJson = False,
    profile: ProfileName = None,
    env_file: EnvFile = None,
    state_dir: StateDir = None,
) -> None:
    """List the clusters of the subscription, a group or a workspace."""
    with connect(profile, env_file, state_dir) as connection:
        clusters = Finder(connection, resource_group, workspace).clusters()
    if as_json:
        show_json([wire(cluster) for cluster in clusters])
    elif clusters:
        show_table(COLUMNS, [row(cluster) for cluster in clusters])
    else:
        tell("There is no cluster")

"""`batchai-recipes cluster delete`."""

from batchai_recipes.cli.connecting import EnvFile, ProfileName, StateDir, connect
from batchai_recipes.cli.console import Yes, confirm, tell
from batchai_recipes.cli.finding import ClusterName, Finder, Group, WorkspaceName
from batchai_recipes.session.made import Made


def delete(
    name: ClusterName,
    resource_group: Group = None,
    workspace: WorkspaceName = None,
    *,
    yes: Yes = False,
    profile: ProfileName = None,
    env_file: EnvFile = None,
    state_dir: StateDir = None,
) -> None:
    """Delete a cluster and wait until it is gone."""
    with connect(profile, env_file, state_dir) as connection:
        place, _ = Finder(connection, resource_group, workspace).cluster(name)
        confirm(f"Delete cluster {place.cluster} of workspace {place.workspace}?", yes=yes)
        Made("cluster", place.names).delete(connection)
    tell(f"Deleted cluster {place.cluster}")

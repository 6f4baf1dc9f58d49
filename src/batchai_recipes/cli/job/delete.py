"""`batchai-recipes job delete`."""

from batchai_recipes.cli.connecting import EnvFile, ProfileName, StateDir, connect
from batchai_recipes.cli.console import Yes, confirm, tell
from batchai_recipes.cli.finding import ExperimentName, Finder, Group, JobName, WorkspaceName
from batchai_recipes.session.made import Made


def delete(
    name: JobName,
    resource_group: Group = None,
    workspace: WorkspaceName = None,
    experiment: ExperimentName = None,
    *,
    yes: Yes = False,
    profile: ProfileName = None,
    env_file: EnvFile = None,
    state_dir: StateDir = None,
) -> None:
    """Delete a job, ending it first; its files stay on the share that they were written to."""
    with connect(profile, env_file, state_dir) as connection:
        place, _ = Finder(connection, resource_group, workspace, experiment).job(name)
        confirm(f"Delete job {place.job} of experiment {place.experiment}?", yes=yes)
        Made("job", place.names).delete(connection)
    tell(f"Deleted job {place.job}")

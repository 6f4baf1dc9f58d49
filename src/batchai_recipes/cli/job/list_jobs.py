"""`batchai-recipes job list`."""

from batchai_recipes.cli.connecting import EnvFile, ProfileName, StateDir, connect
from batchai_recipes.cli.console import AsJson, show_json, show_table, tell
from batchai_recipes.cli.finding import ExperimentName, Finder, Group, WorkspaceName
from batchai_recipes.cli.job.description import COLUMNS, row, wire


def list_jobs(
    resource_group: Group = None,
    workspace: WorkspaceName = None,
    experiment: ExperimentName = None,
    *,
    as_json: AsJson = False,
    profile: ProfileName = None,
    env_file: EnvFile = None,
    state_dir: StateDir = None,
) -> None:
    """List the jobs of the subscription, a group, a workspace or an experiment."""
    with connect(profile, env_file, state_dir) as connection:
        jobs = Finder(connection, resource_group, workspace, experiment).jobs()
    if as_json:
        show_json([wire(job) for job in jobs])
    elif jobs:
        show_table(COLUMNS, [row(job) for job in jobs])
    else:
        tell("There is no job")

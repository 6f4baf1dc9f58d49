"""`batchai-recipes job show`."""

from batchai_recipes.cli.connecting import EnvFile, ProfileName, StateDir, connect
from batchai_recipes.cli.console import AsJson, show_json, show_properties
from batchai_recipes.cli.finding import ExperimentName, Finder, Group, JobName, WorkspaceName
from batchai_recipes.cli.job.description import properties, wire


def show(
    name: JobName,
    resource_group: Group = None,
    workspace: WorkspaceName = None,
    experiment: ExperimentName = None,
    *,
    as_json: AsJson = False,
    profile: ProfileName = None,
    env_file: EnvFile = None,
    state_dir: StateDir = None,
) -> None:
    """Show a job: its state, exit code and errors, where it runs and what it writes."""
    with connect(profile, env_file, state_dir) as connection:
        _, job = Finder(connection, resource_group, workspace, experiment).job(name)
    if as_json:
        show_json(wire(job))
    else:
        show_properties(properties(job))

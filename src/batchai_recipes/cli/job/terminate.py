"""`batchai-recipes job terminate`."""

from batchai_recipes.cli.connecting import EnvFile, ProfileName, StateDir, connect
from batchai_recipes.cli.console import AsJson, show_json, tell
from batchai_recipes.cli.finding import ExperimentName, Finder, Group, JobName, WorkspaceName
from batchai_recipes.cli.job.description import wire, word
from batchai_recipes.cli.job.output_directories import run_of


def terminate(
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
    """End a job; it stays, with its files. Without effect on one that has ended."""
    with connect(profile, env_file, state_dir) as connection:
        place, _ = Finder(connection, resource_group, workspace, experiment).job(name)
        run = run_of(connection, place)
        run.terminate()
        job = run.details()
    if as_json:
        show_json(wire(job))
    else:
        tell(f"Job {place.job} is {word(job.execution_state)}")

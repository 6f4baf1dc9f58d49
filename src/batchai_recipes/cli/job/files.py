"""`batchai-recipes job files`."""

from batchai_recipes.cli.connecting import EnvFile, ProfileName, StateDir, connect
from batchai_recipes.cli.console import AsJson, show_json, show_table, tell
from batchai_recipes.cli.finding import ExperimentName, Finder, Group, JobName, WorkspaceName
from batchai_recipes.cli.job.output_directories import DirectoryIds, chosen_ids, run_of


def files(
    name: JobName,
    ids: DirectoryIds = None,
    resource_group: Group = None,
    workspace: WorkspaceName = None,
    experiment: ExperimentName = None,
    *,
    as_json: AsJson = False,
    profile: ProfileName = None,
    env_file: EnvFile = None,
    state_dir: StateDir = None,
) -> None:
    """List the files that a job wrote, with their sizes in bytes."""
    with connect(profile, env_file, state_dir) as connection:
        place, job = Finder(connection, resource_group, workspace, experiment).job(name)
        run = run_of(connection, place)
        found = [(id_, file) for id_ in chosen_ids(job, ids) for file in run.outputs(id_).files()]
    if as_json:
        # Without their links: these let anybody who sees them read the files for an hour.
        show_json(
            [
                {"id": id_, "path": f.path, "size": f.size, "lastModified": f.last_modified}
                for id_, f in found
            ]
        )
    elif found:
        columns = ("Directory", "Path", "Size", "Last modified")
        show_table(columns, [(id_, f.path, f.size, f.last_modified) for id_, f in found])
    else:
        tell(f"Job {place.job} has written no file")

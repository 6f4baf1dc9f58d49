"""`batchai-recipes job files`."""

from batchai_recipes.cli.console import AsJson, moment, show_json, show_table, tell
from batchai_recipes.cli.finding import Finder, JobName
from batchai_recipes.cli.job.output_directories import DirectoryIds, chosen_ids, run_of
from batchai_recipes.cli.offering import among_jobs


@among_jobs
def files(
    finder: Finder, name: JobName, ids: DirectoryIds = None, *, as_json: AsJson = False
) -> None:
    """List the files that a job wrote, with their sizes in bytes."""
    place, job = finder.job(name)
    run = run_of(finder.connection, place)
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
        show_table(columns, [(id_, f.path, f.size, moment(f.last_modified)) for id_, f in found])
    else:
        tell(f"Job {place.job} has written no file")

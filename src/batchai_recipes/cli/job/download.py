"""`batchai-recipes job download`."""

from pathlib import Path
from typing import Annotated

import typer

from batchai_recipes.cli.console import AsJson, say, show_json
from batchai_recipes.cli.finding import Finder, JobName
from batchai_recipes.cli.job.output_directories import DirectoryIds, chosen_ids, run_of
from batchai_recipes.cli.offering import among_jobs
from batchai_recipes.runs.job_run import JobRun


@among_jobs
def download(
    finder: Finder,
    name: JobName,
    destination: Annotated[Path, typer.Argument(help="The folder; made where it is missing.")],
    *,
    ids: DirectoryIds = None,
    as_json: AsJson = False,
) -> None:
    """Download what a job wrote, each output directory to a folder of its id."""
    place, job = finder.job(name)
    paths = download_all(run_of(finder.connection, place), chosen_ids(job, ids), destination)
    if as_json:
        show_json([str(path) for path in paths])
    else:
        for path in paths:
            say(str(path))


def download_all(run: JobRun, ids: list[str], destination: Path) -> list[Path]:
    """Download output directories, each to a folder of its id.

    Args:
        run: The job.
        ids: The directories.
        destination: The folder that gets theirs.

    Returns:
        The local files.
    """
    return [path for id_ in ids for path in run.outputs(id_).download(destination / id_)]

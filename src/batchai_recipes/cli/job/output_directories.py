"""The output directories of a job, for the commands that list and download them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Final

import typer

from batchai_recipes.cli.console import tell
from batchai_recipes.errors import ConfigurationError
from batchai_recipes.names import nearest
from batchai_recipes.pacing import Pacing
from batchai_recipes.runs.job_place import JobPlace
from batchai_recipes.runs.job_run import JobRun

if TYPE_CHECKING:
    from azure.mgmt.batchai.models import Job

    from batchai_recipes.connection import Connection

LOGS: Final = "stdouterr"

DirectoryIds = Annotated[
    list[str] | None,
    typer.Option(
        "--id",
        help="An output directory by its id, or stdouterr for the logs; may be given several "
        "times. By default all.",
        show_default=False,
    ),
]


def run_of(connection: "Connection", place: JobPlace) -> JobRun:
    """Return a job as a run.

    Args:
        connection: Where it is.
        place: The names that lead to it.
    """
    return JobRun(connection, place, report=tell, pacing=Pacing())


def chosen_ids(job: "Job", ids: Sequence[str] | None) -> list[str]:
    """Return the output directories that a user means.

    Args:
        job: The job.
        ids: What the user named; None or empty for all.

    Raises:
        ConfigurationError: The job has no such directory; the message names the nearest.
    """
    known = [LOGS, *(str(output.id) for output in job.output_directories or [])]
    for name in ids or ():
        if name not in known:
            raise ConfigurationError(
                f"Job {job.name} has no output directory {name!r}: {nearest(name, known)}"
            )
    return list(ids or known)

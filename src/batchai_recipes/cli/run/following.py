"""Following a job to its end: what it prints, what it wrote, how it ended."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from attrs import frozen

from batchai_recipes.cli.console import tell
from batchai_recipes.cli.job.description import wire
from batchai_recipes.cli.job.download import download_all
from batchai_recipes.cli.job.output_directories import chosen_ids
from batchai_recipes.errors import JobFailedError
from batchai_recipes.runs.job_run import JobRun

if TYPE_CHECKING:
    from azure.mgmt.batchai.models import Job

Outputs = Annotated[
    Path | None,
    typer.Option(
        "--outputs",
        help="Download what the job wrote into this folder, also when it failed.",
        show_default=False,
    ),
]

_LOGS: Final = ("stdout*.txt", "stderr*.txt")


@frozen
class Ending:
    """How a job ended.

    Args:
        job: What the service says of it.
        downloaded: The local files that were made of what it wrote.
        failure: Why it failed; None where it succeeded.
    """

    job: "Job"
    downloaded: tuple[Path, ...]
    failure: JobFailedError | None

    def document(self) -> dict[str, object]:
        """Return it as JSON has it."""
        return {"job": wire(self.job), "downloaded": [str(path) for path in self.downloaded]}


def follow(submitted: JobRun, outputs: Path | None, show: Callable[[str], None]) -> Ending:
    """Show what a job prints until it has ended, and download what it wrote.

    Args:
        submitted: The job.
        outputs: The folder to download to; None for none.
        show: Told each line, after its log's name.

    Raises:
        RequestError: The service did not answer.
    """
    for line in submitted.stream(*_LOGS, prefix=True):
        show(line)
    failure = None
    try:
        submitted.wait()
    except JobFailedError as error:
        failure = error
    job = submitted.details()
    if outputs is None:
        return Ending(job, (), failure)
    downloaded = download_all(submitted, chosen_ids(job, None), outputs)
    tell(f"Downloaded {len(downloaded)} files to {outputs}{os.sep}")
    return Ending(job, tuple(downloaded), failure)

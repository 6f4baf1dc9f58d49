"""`batchai-recipes job logs`."""

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Annotated

import typer

from batchai_recipes.cli.console import AsJson, say, show_json, show_json_line, tell
from batchai_recipes.cli.finding import Finder, JobName
from batchai_recipes.cli.job.description import word
from batchai_recipes.cli.job.output_directories import LOGS, run_of
from batchai_recipes.cli.offering import among_jobs
from batchai_recipes.errors import ConfigurationError
from batchai_recipes.names import nearest
from batchai_recipes.runs.job_run import JobRun

_USUAL = ("stdout*.txt", "stderr*.txt")


@among_jobs
def logs(
    finder: Finder,
    name: JobName,
    files: Annotated[
        list[str] | None,
        typer.Argument(
            help="Logs by name or pattern, such as execution.log or 'stderr*.txt'.",
            show_default="standard output and standard error of all processes",
        ),
    ] = None,
    *,
    follow: Annotated[
        bool,
        typer.Option("--follow", "-f", help="Go on until the job has ended, as it writes them."),
    ] = False,
    last: Annotated[
        int | None,
        typer.Option(min=0, help="Only so many last lines of each.", show_default="all"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Print a job's logs; each line after its log's name where there are several.

    With `--json` it is one object, of each log's name with its text; with `--follow` too, an object
    for each line, when it is written.
    """
    if follow and last is not None:
        raise ConfigurationError("--last does not go with --follow: that shows all from the start")
    place, job = finder.job(name)
    run = run_of(finder.connection, place)
    if follow:
        _follow(run, files or _USUAL, as_json=as_json)
        return
    texts = {file: run.logs(file, last=last) for file in _chosen(run, files)}
    if as_json:
        show_json(texts)
        return
    if not texts:
        tell(f"Job {run.name} has written no log; it is {word(job.execution_state)}")
    for file, text in texts.items():
        for line in text.splitlines():
            say(f"{file}: {line}" if len(texts) > 1 else line)


def _follow(run: JobRun, files: Sequence[str], *, as_json: bool) -> None:
    if not as_json:
        for line in run.stream(*files):
            say(line)
        return
    for line in run.stream(*files, prefix=True):
        file, _, text = line.partition(": ")  # a file's name has no colon: shares forbid it
        show_json_line({"file": file, "line": text})


def _chosen(run: JobRun, patterns: list[str] | None) -> list[str]:
    """Return the logs that a user means, in the order in which they were named."""
    known = [file.path for file in run.outputs(LOGS).files()]
    found: dict[str, None] = {}
    for pattern in patterns or _USUAL:
        meant = [file for file in known if file == pattern or fnmatchcase(file, pattern)]
        if patterns and not meant:
            raise ConfigurationError(
                f"Job {run.name} has no log {pattern!r}: {nearest(pattern, known)}"
            )
        found |= dict.fromkeys(meant)
    return list(found)

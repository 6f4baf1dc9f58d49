"""`batchai-recipes job terminate`."""

from batchai_recipes.cli.console import AsJson, show_json, tell
from batchai_recipes.cli.finding import Finder, JobName
from batchai_recipes.cli.job.description import wire, word
from batchai_recipes.cli.job.output_directories import run_of
from batchai_recipes.cli.offering import among_jobs


@among_jobs
def terminate(finder: Finder, name: JobName, *, as_json: AsJson = False) -> None:
    """End a job; it stays, with its files. Without effect on one that has ended."""
    place, _ = finder.job(name)
    run = run_of(finder.connection, place)
    run.terminate()
    job = run.details()
    if as_json:
        show_json(wire(job))
    else:
        tell(f"Job state: {word(job.execution_state)}")

"""`batchai-recipes job list`."""

from batchai_recipes.cli.console import AsJson, show_json, show_table, tell
from batchai_recipes.cli.finding import Finder
from batchai_recipes.cli.job.description import COLUMNS, row, wire
from batchai_recipes.cli.offering import among_jobs


@among_jobs
def list_jobs(finder: Finder, *, as_json: AsJson = False) -> None:
    """List the jobs of the subscription, a group, a workspace or an experiment."""
    jobs = finder.jobs()
    if as_json:
        show_json([wire(job) for job in jobs])
    elif jobs:
        show_table(COLUMNS, [row(job) for job in jobs])
    else:
        tell("There is no job")

"""`batchai-recipes job show`."""

from batchai_recipes.cli.console import AsJson, show_json, show_properties
from batchai_recipes.cli.finding import Finder, JobName
from batchai_recipes.cli.job.description import properties, wire
from batchai_recipes.cli.offering import among_jobs


@among_jobs
def show(finder: Finder, name: JobName, *, as_json: AsJson = False) -> None:
    """Show a job: its state, exit code and errors, where it runs and what it writes."""
    _, job = finder.job(name)
    if as_json:
        show_json(wire(job))
    else:
        show_properties(properties(job))

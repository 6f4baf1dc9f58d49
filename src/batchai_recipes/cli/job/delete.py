"""`batchai-recipes job delete`."""

from batchai_recipes.cli.console import AsJson, Yes
from batchai_recipes.cli.deletion import delete_when_confirmed
from batchai_recipes.cli.finding import Finder, JobName
from batchai_recipes.cli.offering import among_jobs
from batchai_recipes.session.made import Made


@among_jobs
def delete(finder: Finder, name: JobName, *, yes: Yes = False, as_json: AsJson = False) -> None:
    """Delete a job, ending it first; its files stay on the share that they were written to."""
    place, job = finder.job(name)
    doomed, within = Made("job", place.names), f"experiment {place.experiment}"
    delete_when_confirmed(
        finder.connection, doomed, job.id, within=within, yes=yes, as_json=as_json
    )

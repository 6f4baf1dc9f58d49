"""`batchai-recipes job delete`."""

from batchai_recipes.cli.console import AsJson, Yes, confirm, show_json, tell
from batchai_recipes.cli.finding import Finder, JobName
from batchai_recipes.cli.offering import among_jobs
from batchai_recipes.session.made import Made


@among_jobs
def delete(finder: Finder, name: JobName, *, yes: Yes = False, as_json: AsJson = False) -> None:
    """Delete a job, ending it first; its files stay on the share that they were written to."""
    place, job = finder.job(name)
    confirm(f"Delete job {place.job} of experiment {place.experiment}?", yes=yes)
    Made("job", place.names).delete(finder.connection)
    if as_json:
        show_json({"deleted": job.id})
    else:
        tell(f"Deleted job {place.job}")

"""`batchai-recipes job`: looking at jobs and their files, ending and deleting them."""

from batchai_recipes.cli.group import command_group
from batchai_recipes.cli.job.delete import delete
from batchai_recipes.cli.job.download import download
from batchai_recipes.cli.job.files import files
from batchai_recipes.cli.job.list_jobs import list_jobs
from batchai_recipes.cli.job.logs import logs
from batchai_recipes.cli.job.show import show
from batchai_recipes.cli.job.terminate import terminate

job = command_group("job", "Look at jobs, their logs and files, end and delete them.")
job.command("list")(list_jobs)
job.command()(show)
job.command()(logs)
job.command()(files)
job.command()(download)
job.command()(terminate)
job.command()(delete)

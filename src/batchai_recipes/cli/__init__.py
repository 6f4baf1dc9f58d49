"""The command `batchai-recipes`, one file per subcommand."""

import sys

import typer

from batchai_recipes.cli.console import fail
from batchai_recipes.cli.data import data
from batchai_recipes.cli.evaluate import evaluate
from batchai_recipes.cli.quickstart import quickstart
from batchai_recipes.cli.reap import reap
from batchai_recipes.cli.serve import serve
from batchai_recipes.errors import BatchAIRecipesError

app = typer.Typer(
    name="batchai-recipes",
    help="Azure Batch AI's vocabulary with a service that really trains.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.command()(quickstart)
app.command()(data)
app.command()(evaluate)
app.add_typer(serve)
app.command()(reap)


def main() -> None:
    """Run the command; errors that this library names are printed without a traceback."""
    try:
        app()
    except BatchAIRecipesError as error:
        fail(error)
    except KeyboardInterrupt:
        sys.exit(130)

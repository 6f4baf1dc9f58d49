"""The command `batchai-recipes` and its options; each subcommand is a file of its own."""

import importlib.metadata
from typing import Annotated

import typer

from batchai_recipes.cli.attach import attach
from batchai_recipes.cli.cluster import cluster
from batchai_recipes.cli.console import say
from batchai_recipes.cli.data import data
from batchai_recipes.cli.doctor import doctor
from batchai_recipes.cli.evaluate import evaluate
from batchai_recipes.cli.exit_code import MEANINGS
from batchai_recipes.cli.group import MARKUP, CommandGroup
from batchai_recipes.cli.job import job
from batchai_recipes.cli.quickstart import quickstart
from batchai_recipes.cli.reap import reap
from batchai_recipes.cli.run import run
from batchai_recipes.cli.serve import serve


def _show_version(asked: bool) -> None:  # noqa: FBT001 - as the parser calls it
    if asked:
        say(f"batchai-recipes {importlib.metadata.version('batchai-recipes')}")
        raise typer.Exit


app = typer.Typer(
    name="batchai-recipes",
    help="Azure Batch AI's vocabulary with a service that really trains.",
    epilog="Exit codes: " + "; ".join(f"{code:d} {what}" for code, what in MEANINGS.items()) + ".",
    cls=CommandGroup,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=MARKUP,
)


@app.callback()
def _options(
    *,
    _version: Annotated[
        bool,
        typer.Option(
            "--version", is_eager=True, callback=_show_version, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """What all commands have before their own options."""


app.command()(quickstart)
app.command()(data)
app.command()(evaluate)
app.command()(run)
app.command()(attach)
app.add_typer(cluster)
app.add_typer(job)
app.add_typer(serve)
app.command()(reap)
app.command()(doctor)

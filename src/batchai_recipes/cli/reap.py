"""`batchai-recipes reap`: deletes what sessions left whose process is gone."""

from pathlib import Path
from typing import Annotated

import typer

from batchai_recipes.cli.console import say
from batchai_recipes.session import reaping
from batchai_recipes.settings import default_state_dir, journals_of


def reap(
    sessions: Annotated[
        list[str] | None,
        typer.Argument(
            help="Sessions to delete everything of, also what they kept.", show_default=False
        ),
    ] = None,
    state_dir: Annotated[
        Path | None,
        typer.Option(help="The state directory that the sessions used.", show_default=False),
    ] = None,
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be deleted.")
    ] = False,
) -> None:
    """Delete what sessions on this machine left that were killed before they could clean up."""
    folder = journals_of(state_dir or default_state_dir())
    if not reaping.reap(folder, *(sessions or ()), report=say, dry_run=dry_run):
        say("No session has left anything")

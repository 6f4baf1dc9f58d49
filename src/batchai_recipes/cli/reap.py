"""`batchai-recipes reap`: deletes what sessions left whose process is gone."""

import os
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from batchai_recipes.cli.console import say
from batchai_recipes.connection import Connection
from batchai_recipes.session import reaping
from batchai_recipes.settings import ENV_FILE_VARIABLE, default_state_dir, journals_of


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
    """Delete what sessions left that were killed before they could clean up.

    On an endpoint that the environment names, also sessions of other machines whose lease has run
    out.
    """
    folder = journals_of(state_dir or default_state_dir())
    with ExitStack() as closing:
        # Sessions of an embedded service have all their journals in its state directory.
        remote = state_dir is None and any(
            map(os.environ.get, ("BATCHAI_ENDPOINT", ENV_FILE_VARIABLE))
        )
        connection = closing.enter_context(Connection.default()) if remote else None
        if not reaping.reap(
            folder, *(sessions or ()), report=say, dry_run=dry_run, connection=connection
        ):
            say("No session has left anything")

"""`batchai-recipes reap`: deletes what sessions left whose process is gone."""

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from batchai_recipes.cli.connecting import EnvFile, ProfileName, StateDir, connect
from batchai_recipes.cli.console import AsJson, say, show_json
from batchai_recipes.profiles import configured
from batchai_recipes.session import reaping
from batchai_recipes.settings import default_state_dir, journals_of

if TYPE_CHECKING:
    from batchai_recipes.connection import Connection


def reap(
    sessions: Annotated[
        list[str] | None,
        typer.Argument(
            help="Sessions to delete everything of, also what they kept.", show_default=False
        ),
    ] = None,
    *,
    profile: ProfileName = None,
    env_file: EnvFile = None,
    state_dir: StateDir = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be deleted.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Delete what sessions left that were killed before they could clean up.

    On an endpoint that an option, the environment or a profile names, also sessions of other
    machines whose lease has run out.
    """
    lines: list[str] = []
    report = lines.append if as_json else say
    with ExitStack() as closing:
        # Sessions of an embedded service have all their journals in its state directory.
        connection = _remote(profile, env_file, state_dir, closing)
        folder = journals_of(state_dir or default_state_dir())
        found = reaping.reap(
            folder, *(sessions or ()), report=report, dry_run=dry_run, connection=connection
        )
    if as_json:
        show_json({"sessions": found, "report": lines})
    elif not found:
        say("No session has left anything")


def _remote(
    profile: str | None, env_file: Path | None, state_dir: Path | None, closing: ExitStack
) -> "Connection | None":
    """Connect to another endpoint, if one is chosen."""
    chosen = None if profile or env_file or state_dir else configured()
    if profile or env_file or (chosen and chosen.settings):
        return closing.enter_context(connect(profile, env_file, state_dir))
    return None

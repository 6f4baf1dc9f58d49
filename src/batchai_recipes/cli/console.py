"""What the commands print, and how they end: results on standard output, the rest on the other."""

import json
import sys
from collections.abc import Sequence
from datetime import datetime, timezone
from typing import Annotated, NoReturn

import typer

from batchai_recipes.cli.exit_code import exit_code_of
from batchai_recipes.cli.streams import silence
from batchai_recipes.errors import ConfigurationError

AsJson = Annotated[
    bool, typer.Option("--json", help="Print the result as JSON; messages go to standard error.")
]
"""The option of every command that has a result."""

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask whether this is meant.")]
"""The option of every command that deletes."""


def say(line: str) -> None:
    """Print a line of the result at once, so that a pipe sees it when it happens."""
    try:
        print(line, flush=True)  # noqa: T201 - this is the command line's voice
    except BrokenPipeError:
        raise
    except OSError as error:  # say, it goes to a file and the disk is full
        raise OSError(error.errno, error.strerror, "standard output") from error


def tell(line: str) -> None:
    """Print a message, which is no part of the result, to standard error."""
    sys.stdout.flush()
    print(line, file=sys.stderr, flush=True)  # noqa: T201 - likewise


def fail(error: Exception) -> NoReturn:
    """Print an error and end with its exit code.

    Args:
        error: What went wrong; its text says what to do.
    """
    try:
        sys.stdout.flush()
    except OSError:  # it may be the very error
        silence(sys.stdout)
    try:
        tell(f"Error: {error}")
    except OSError:  # nobody can be told
        silence(sys.stderr)
    sys.exit(exit_code_of(error))


def show_json(value: object) -> None:
    """Print a result as JSON.

    Args:
        value: The result.
    """
    say(json.dumps(value, indent=2, ensure_ascii=False, default=_as_json))


def show_json_line(value: object) -> None:
    """Print one of many results as JSON on a line of its own, when it is there.

    Args:
        value: The result.
    """
    say(json.dumps(value, ensure_ascii=False, default=_as_json))


def moment(time: datetime | None) -> str:
    """Return a time as people read it; empty for None.

    Args:
        time: The time, with its zone.

    Example:
        >>> from datetime import timezone
        >>> moment(datetime(2026, 11, 24, 20, 40, 36, 795000, timezone.utc))
        '2026-11-24 20:40:36Z'
    """
    return f"{time.astimezone(timezone.utc):%Y-%m-%d %H:%M:%SZ}" if time else ""


def show_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table: drawn in a terminal, else plain lines with a line of titles.

    Args:
        columns: The titles.
        rows: What stands below them; None for nothing.
    """
    texts = [["" if cell is None else str(cell) for cell in row] for row in rows]
    if sys.stdout.isatty():
        _draw(columns, texts)
        return
    titles = [column.upper() for column in columns]
    widths = [max(map(len, column)) for column in zip(titles, *texts, strict=True)]
    for row in (titles, *texts):
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        say("  ".join(cells).rstrip())


def show_properties(properties: Sequence[tuple[str, object]]) -> None:
    """Print what is known of one thing, a line for each; what has no value is left out.

    Args:
        properties: The names and values.
    """
    known = [(name, str(value)) for name, value in properties if value not in {None, ""}]
    width = max((len(name) for name, _ in known), default=0) + 1
    for name, value in known:
        first, *more = value.splitlines() or [""]
        say(f"{name + ':':<{width}} {first}")
        for line in more:
            say(f"{'':<{width}} {line}")


def confirm(deed: str, *, yes: bool) -> None:
    """Ask whether something that cannot be taken back is meant; end the command if it is not.

    Args:
        deed: What would be done, as a question.
        yes: Whether the user said so beforehand.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        fail(ConfigurationError(f"{deed} There is nobody to ask: say so with --yes"))
    if not typer.confirm(deed, err=True):
        tell("Nothing was done")
        raise typer.Exit


def _as_json(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _draw(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.console import Console  # noqa: PLC0415 - loaded on first use
    from rich.table import Table  # noqa: PLC0415 - likewise
    from rich.text import Text  # noqa: PLC0415 - likewise

    table = Table(*columns, header_style="bold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))  # as it is: brackets in it are no markup
    Console().print(table)

"""What the commands print, and how they end."""

import sys
from typing import Final, NoReturn

EXIT_FAILURE: Final = 1


def say(line: str) -> None:
    """Print a line at once, so that a pipe sees it when it happens."""
    print(line, flush=True)  # noqa: T201 - this is the command line's voice


def fail(error: Exception) -> NoReturn:
    """Print an error and end with status 1.

    Args:
        error: What went wrong; its text says what to do.
    """
    sys.stdout.flush()
    sys.stderr.write(f"Error: {error}\n")
    sys.exit(EXIT_FAILURE)

"""The command `batchai-recipes`."""

import logging
import sys
import warnings
from io import TextIOWrapper
from pathlib import Path
from typing import Final

from batchai_recipes.cli.exit_code import ExitCode
from batchai_recipes.cli.streams import open_missing
from batchai_recipes.errors import BatchAIRecipesError, ConfigurationError

_NO_FOLDER: Final = ConfigurationError("The current folder has been deleted: change to another one")


def main() -> None:
    """Run the command; errors that can be explained are printed without a traceback."""
    open_missing()
    # What the Azure clients have to say comes back as an error; it needs no lines of its own.
    logging.getLogger("azure").addHandler(logging.NullHandler())
    # What the example program prints, too, is in a pipe when it happens. And what a terminal of
    # another encoding cannot show, or a file's name that is no text, is shown by its number.
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True, errors="backslashreplace")
    try:
        # Here, so that a Ctrl-C meanwhile is answered too.
        from batchai_recipes.cli.app import app  # noqa: PLC0415 - see above
        from batchai_recipes.cli.console import fail, tell  # noqa: PLC0415 - see above

        # The Azure packages' own sources, compiled for the first time: nobody can do anything.
        warnings.filterwarnings("ignore", category=SyntaxWarning)
        warnings.showwarning = lambda message, *_, **__: tell(f"Warning: {message}")
        try:
            app(prog_name="batchai-recipes")
        except FileNotFoundError as error:
            fail(error if error.filename or _has_a_folder() else _NO_FOLDER)
        except (BatchAIRecipesError, OSError) as error:
            fail(error)
    except KeyboardInterrupt:
        sys.exit(ExitCode.INTERRUPTED)


def _has_a_folder() -> bool:
    try:
        Path.cwd()
    except FileNotFoundError:
        return False
    return True

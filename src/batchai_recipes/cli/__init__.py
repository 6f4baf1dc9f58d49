"""The command `batchai-recipes`."""

import logging
import sys
import warnings
from io import TextIOWrapper

from batchai_recipes.cli.exit_code import ExitCode
from batchai_recipes.errors import BatchAIRecipesError


def main() -> None:
    """Run the command; errors that can be explained are printed without a traceback."""
    # What the Azure clients have to say comes back as an error; it needs no lines of its own.
    logging.getLogger("azure").addHandler(logging.NullHandler())
    # What the example program prints, too, is in a pipe when it happens.
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)
    try:
        # Here, so that a Ctrl-C meanwhile is answered too.
        from batchai_recipes.cli.app import app  # noqa: PLC0415
        from batchai_recipes.cli.console import fail, tell  # noqa: PLC0415

        warnings.showwarning = lambda message, *_, **__: tell(f"Warning: {message}")
        try:
            app(prog_name="batchai-recipes")
        except (BatchAIRecipesError, OSError) as error:
            fail(error)
    except KeyboardInterrupt:
        sys.exit(ExitCode.INTERRUPTED)

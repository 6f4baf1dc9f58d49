"""The Python that has CNTK: no version of Python that this library supports can import it."""

import subprocess
from pathlib import Path
from typing import Final

from batchai_recipes.errors import ConfigurationError

VARIABLE: Final = "BATCHAI_RECIPES_CNTK_PYTHON"
"""The environment variable that names it."""

_MADE_BY_MAKE: Final = Path(".venv-cntk", "bin", "python")
_CHECKOUT: Final = Path(__file__).parents[3]
_ADVICE: Final = (
    f"run `make cntk` in a checkout of batchai_recipes, which makes {_MADE_BY_MAKE}, or name a "
    f"Python that has CNTK by --cntk-python or {VARIABLE}"
)


def cntk_python(named: Path | None) -> Path:
    """Return the absolute path of a Python that can import CNTK.

    Args:
        named: What the user named; None to look for what ``make cntk`` makes, below the working
            directory and then in the checkout that this package is in.

    Raises:
        ConfigurationError: There is none, or it cannot import CNTK.
    """
    # Not resolved: the link in a virtual environment's folder is what makes it that environment's.
    candidates = [named] if named else [_MADE_BY_MAKE, _CHECKOUT / _MADE_BY_MAKE]
    python = next((path.absolute() for path in candidates if path.is_file()), None)
    if python is None:
        raise ConfigurationError(f"{candidates[0]} does not exist: {_ADVICE}")
    try:
        done = subprocess.run(  # noqa: S603 - the user's own interpreter
            [python, "-W", "ignore", "-c", "import cntk"],
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError as error:
        raise ConfigurationError(f"{python}: {error.strerror}: {_ADVICE}") from error
    if done.returncode:
        reason = (done.stderr.strip() or "no reason given").splitlines()[-1]
        raise ConfigurationError(f"{python} cannot import cntk ({reason}): {_ADVICE}")
    return python

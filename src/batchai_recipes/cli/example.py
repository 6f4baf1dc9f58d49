"""The bundled example programs, from the wheel or from a checkout."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Final

from batchai_recipes.errors import BatchAIRecipesError

_PACKAGE: Final = Path(__file__).parents[1]


def example_path(name: str) -> Path:
    """Return where an example program lies.

    Args:
        name: The file's name.

    Raises:
        BatchAIRecipesError: The installation lacks it.
    """
    # A wheel carries the examples inside the package; a checkout has them at its root.
    for folder in (_PACKAGE / "examples", _PACKAGE.parents[1] / "examples"):
        if (folder / name).is_file():
            return folder / name
    raise BatchAIRecipesError(f"The example {name} is not installed: reinstall batchai-recipes")


def load_example(name: str) -> ModuleType:
    """Import an example program, so that its functions can be called.

    Args:
        name: The file's name.

    Raises:
        BatchAIRecipesError: The installation lacks it.
    """
    path = example_path(name)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise BatchAIRecipesError(f"{path} is no Python program")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module

"""The package that runs isolated."""

import ast
import sys
from pathlib import Path

from batchai_recipes.service.engines import supervision


def test_it_imports_nothing_but_the_standard_library_and_itself():
    """It runs where no other package can be found."""
    names = set()
    for module in Path(supervision.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(module.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                names.add(node.module.split(".")[0])
    assert set() == names - set(sys.stdlib_module_names)

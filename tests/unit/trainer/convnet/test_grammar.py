"""The modules that CNTK's Python reads keep to what it can read."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from batchai_recipes.trainer.cntk_environment import CntkEnvironmentError, find_python36
from batchai_recipes.trainer.script import TRAINING_PACKAGE, TRAINING_SCRIPT

# Those of PyTorch are imported where PyTorch is, which asks for a newer Python anyway.
MODULES = sorted(
    path
    for path in (TRAINING_SCRIPT, *TRAINING_PACKAGE.glob("*.py"))
    if not path.name.startswith("torch_")
)


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
def test_it_is_python_of_cntks_images(module):
    """CNTK's container images have CPython 3.5, which reads none of these."""
    tree = ast.parse(module.read_text())
    newer = (ast.JoinedStr, ast.AnnAssign, ast.NamedExpr, ast.Match, ast.AsyncFunctionDef)

    assert [node.lineno for node in ast.walk(tree) if isinstance(node, newer)] == []
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    assert all(not node.args.posonlyargs and not node.args.kwonlyargs for node in functions)
    assert "from __future__" not in module.read_text()


def test_it_compiles_with_python_36():
    """Where there is one."""
    try:
        python = find_python36(os.environ)
    except CntkEnvironmentError as error:
        pytest.skip(str(error))
    program = (
        "import pathlib, sys\n"
        "for name in sys.argv[1:]: compile(pathlib.Path(name).read_text(), name, 'exec')"
    )

    done = subprocess.run(
        [python, "-W", "error", "-c", program, *MODULES], capture_output=True, check=False
    )

    assert (done.returncode, done.stderr) == (0, b"")


def test_no_module_needs_what_only_pytorchs_modules_import():
    """What CNTK's Python imports, it imports without PyTorch and without this library."""
    names = {path.stem for path in MODULES if path.parent == TRAINING_PACKAGE} - {"__init__"}
    program = "import importlib, sys\nsys.modules['torch'] = None\n" + "".join(
        f"importlib.import_module('convnet.{name}')\n" for name in sorted(names)
    )

    subprocess.run([sys.executable, "-c", program], cwd=TRAINING_PACKAGE.parent, check=True)
    assert Path(TRAINING_PACKAGE, "command.py") in MODULES

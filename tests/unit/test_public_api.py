"""What `import batchai_recipes` gives and what it costs."""

import ast
import importlib
import inspect
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import attrs
import pytest

import batchai_recipes
import pytest_batchai_recipes
from batchai_recipes import aio, testing

if sys.version_info < (3, 11):
    from exceptiongroup import ExceptionGroup


def test_the_public_names_are_sorted_and_exist():
    """So that a reader finds them, and a typo is seen."""
    names = batchai_recipes.__all__

    assert sorted(names) == names
    assert [name for name in names if not hasattr(batchai_recipes, name)] == []


HEAVY = {
    *("azure", "cryptography", "matplotlib", "msrest", "numpy", "pandas", "pathspec", "requests"),
    *("rich", "sqlite3", "starlette", "typer", "uvicorn"),
}


def loaded_by(program: str) -> set[str]:
    """Return the modules that a program loads beyond those of a bare interpreter."""
    end = "; import sys; print(*sorted(sys.modules))"
    bare, full = (
        subprocess.run(
            [sys.executable, "-c", text + end], check=True, capture_output=True, text=True
        ).stdout.split()
        for text in ("pass", program)
    )
    return set(full) - set(bare)


def test_importing_the_library_loads_next_to_nothing():
    """By modules, not by time: a busy machine is slow."""
    own = loaded_by("import batchai_recipes")

    assert own - loaded_by("import importlib, logging, typing") == {"batchai_recipes"}


def test_using_every_public_name_loads_no_azure_package():
    """They cost most of the time, and are loaded when a client is made or a model built."""
    loaded = loaded_by("from batchai_recipes import *")

    assert not HEAVY & {name.partition(".")[0] for name in loaded}


def test_each_name_is_loaded_from_where_type_checkers_find_it():
    """The imports that they see, ``__all__`` and the places of run time agree."""
    source = Path(batchai_recipes.__file__).read_text()
    block = next(node for node in ast.parse(source).body if isinstance(node, ast.If))
    imports = [node for node in block.body if isinstance(node, ast.ImportFrom)]
    seen = {name.name: node.module for node in imports for name in node.names}

    assert sorted(seen) == batchai_recipes.__all__ == sorted(batchai_recipes._MODULES)
    for name, module in seen.items():
        assert getattr(importlib.import_module(module), name) is getattr(batchai_recipes, name)
    assert set(batchai_recipes.__all__) <= set(dir(batchai_recipes))
    with pytest.raises(AttributeError, match="no attribute 'Sesion'"):
        _ = batchai_recipes.Sesion


def test_nothing_is_logged_where_nobody_configured_logging():
    """Not by the handler of last resort either."""
    program = (
        "import logging, batchai_recipes; "
        "logging.getLogger('batchai_recipes.session').warning('a warning')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )

    assert (done.stdout, done.stderr) == ("", "")


def test_every_public_name_has_a_docstring():
    """With a first sentence."""
    undocumented = [
        name
        for name in batchai_recipes.__all__
        if not (getattr(batchai_recipes, name).__doc__ or "").strip()
    ]

    assert undocumented == []


RECORD = Path(__file__).with_name("public_api.txt")


def public_api() -> list[str]:
    """Write down the public names, and the parameters of what can be called."""
    names = [
        line
        for module in (batchai_recipes, aio, testing)
        for line in public_names(module, module.__name__.partition(".")[2])
    ]
    return names + fixtures()


def fixtures() -> list[str]:
    """Write down the fixtures of the pytest plugin with their scopes."""
    tree = ast.parse(Path(pytest_batchai_recipes.__file__).read_text())
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    return [
        f"pytest_batchai_recipes: @{ast.unparse(decorator)} {function.name}"
        for function in functions
        for decorator in function.decorator_list
    ]


def public_names(module: ModuleType, prefix: str) -> list[str]:
    """Write down the public names of one module, those of a submodule with its name before."""
    lines = []
    public = {name: getattr(module, name) for name in module.__all__}
    for own_name, thing in public.items():
        name = f"{prefix}.{own_name}" if prefix else own_name
        if not isinstance(thing, type):
            lines.append(name)
            continue
        # What exceptions have of Python's own differs from version to version.
        own = not issubclass(thing, BaseException) or "__init__" in vars(thing)
        lines.append(f"{name}{parameters(thing.__init__) if own else ''}")
        bases = [base for base in thing.__mro__[1:] if base in public.values()]
        if issubclass(thing, BaseException):
            bases += [OSError, ExceptionGroup]
        # Without slots, a class does not have the fields of its instances.
        fields = [one.name for one in attrs.fields(thing)] if attrs.has(thing) else []
        for member in sorted({*dir(thing), *fields}):
            inherited = any(hasattr(base, member) for base in bases)
            if member.startswith("_") or inherited:
                continue
            called = inspect.getattr_static(thing, member, None)
            function = getattr(called, "__func__", called)
            lines.append(f"{name}.{member}{parameters(function)}")
    return lines


def parameters(thing: object) -> str:
    """Return what a function takes, without types; empty for what is none."""
    if not inspect.isroutine(thing):
        return ""
    try:
        signature = inspect.signature(thing)
    except ValueError:  # made by Python itself
        return ""
    plain = [one.replace(annotation=one.empty) for one in signature.parameters.values()]
    return str(signature.replace(parameters=plain, return_annotation=signature.empty))


def test_the_public_api_is_the_recorded_one():
    """So that a change is seen: record it with ``python tests/unit/test_public_api.py``."""
    assert public_api() == RECORD.read_text().splitlines()


if __name__ == "__main__":
    RECORD.write_text("\n".join(public_api()) + "\n")

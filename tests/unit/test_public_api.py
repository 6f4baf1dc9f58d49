"""What `import batchai_recipes` gives and what it costs."""

import inspect
import subprocess
import sys
from pathlib import Path

import batchai_recipes

if sys.version_info < (3, 11):
    from exceptiongroup import ExceptionGroup


def test_the_public_names_are_sorted_and_exist():
    """So that a reader finds them, and a typo is seen."""
    names = batchai_recipes.__all__

    assert sorted(names) == names
    assert [name for name in names if not hasattr(batchai_recipes, name)] == []


def test_importing_the_library_loads_no_azure_package():
    """They cost most of the time and are loaded on first use."""
    heavy = (
        *("azure", "cryptography", "msrest", "pathspec", "requests", "rich", "starlette"),
        *("typer", "uvicorn"),
    )
    program = "import sys, batchai_recipes; print(*sorted({m.split('.')[0] for m in sys.modules}))"
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )

    assert not set(heavy) & set(done.stdout.split())


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
    lines = []
    public = {name: getattr(batchai_recipes, name) for name in batchai_recipes.__all__}
    for name, thing in public.items():
        if not isinstance(thing, type):
            lines.append(name)
            continue
        # What exceptions have of Python's own differs from version to version.
        own = not issubclass(thing, BaseException) or "__init__" in vars(thing)
        lines.append(f"{name}{parameters(thing.__init__) if own else ''}")
        bases = [base for base in thing.__mro__[1:] if base in public.values()]
        if issubclass(thing, BaseException):
            bases += [OSError, ExceptionGroup]
        for member in sorted(dir(thing)):
            inherited = any(hasattr(base, member) for base in bases)
            if member.startswith("_") or inherited:
                continue
            called = inspect.getattr_static(thing, member)
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

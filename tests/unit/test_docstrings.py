"""What the docstrings of the public API tell: parameters, errors raised, an example that runs."""

import ast
import inspect
import re
import textwrap
from collections.abc import Callable, Iterator

import pytest

import batchai_recipes
from batchai_recipes import aio, errors, testing

CLASSES = {
    f"{module.__name__}.{name}".removeprefix("batchai_recipes."): thing
    for module in (batchai_recipes, aio, testing)
    for name in module.__all__
    if isinstance(thing := getattr(module, name), type)
}


def methods() -> Iterator[tuple[str, Callable[..., object]]]:
    """The public functions of the public classes, each once, with the name of its class."""
    seen: set[object] = set()
    for name, kind in CLASSES.items():
        for base in kind.__mro__:
            if not base.__module__.startswith("batchai_recipes"):
                continue
            for member, thing in vars(base).items():
                function = getattr(thing, "__func__", thing)
                function = getattr(function, "fget", function)
                own = inspect.isfunction(function) and inspect.getsourcefile(function) != "<attrs>"
                if own and not member.startswith("_") and function not in seen:
                    seen.add(function)
                    yield f"{name}.{member}", function


METHODS = dict(methods())


def sections(thing: object) -> dict[str, str]:
    """The Google sections of a docstring, by title."""
    text = inspect.getdoc(thing) or ""
    return dict(re.findall(r"^(\w+):\n((?:[ ]+.*\n?|\n)+)", text, re.MULTILINE))


def entries(section: str) -> list[str]:
    """The names that a section explains."""
    return re.findall(r"^ {4}(\w+):", section, re.MULTILINE)


def raised(function: Callable[..., object]) -> set[str]:
    """The library's exceptions that a function raises by name."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    calls = [
        node.exc.func
        for node in ast.walk(tree)
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call)
    ]
    return {call.id for call in calls if isinstance(call, ast.Name) and hasattr(errors, call.id)}


# What parameters of these names are counted in.
UNITS = {
    r"timeout|lifetime|^(first|longest|seconds)$": r"\bseconds?\b",
    r"(^|_)(size|bytes|start|length)$": r"\bbytes?\b|\bsize by its Azure name\b",
    r"_gb$": r"\bgigabytes\b",
}


@pytest.mark.parametrize("name", {**CLASSES, **METHODS})
def test_what_is_counted_is_told_with_its_unit(name):
    """Times in seconds, sizes in bytes."""
    section = sections({**CLASSES, **METHODS}[name]).get("Args", "")
    told = dict(re.findall(r"^ {4}(\w+):((?:.*\n)(?: {8}.*\n?)*)", section + "\n", re.MULTILINE))
    unclear = [
        parameter
        for parameter, text in told.items()
        for pattern, unit in UNITS.items()
        if re.search(pattern, parameter) and not re.search(rf"{unit}|^ Likewise", text)
    ]

    assert unclear == []


@pytest.mark.parametrize("name", CLASSES)
def test_a_class_has_an_example_that_runs(name):
    """A doctest, which `pytest --doctest-modules` runs."""
    assert ">>> " in sections(CLASSES[name]).get("Example", "")


@pytest.mark.parametrize("name", [name for name in CLASSES if "__init__" in vars(CLASSES[name])])
def test_a_class_explains_its_parameters(name):
    """All that has to be given, and nothing that is not there."""
    kind = CLASSES[name]
    parameters = inspect.signature(kind).parameters
    needed = {
        one.name
        for one in parameters.values()
        if one.default is one.empty and one.kind not in {one.VAR_POSITIONAL, one.VAR_KEYWORD}
    }
    told = set(entries(sections(kind).get("Args", "")))

    assert needed <= told <= set(parameters)


def parameters_of(function: Callable[..., object]) -> list[str]:
    """The parameters that a caller gives."""
    return [one for one in inspect.signature(function).parameters if one not in {"self", "cls"}]


def is_explained_by_its_twin(name: str) -> bool:
    """Whether a method of the asynchronous twin takes what the one of the same name takes."""
    module, _, own_name = name.rpartition("aio.")
    other = METHODS.get(own_name)
    return bool(name != own_name and not module and other) and (
        parameters_of(METHODS[name]) == parameters_of(other)
    )


@pytest.mark.parametrize("name", METHODS)
def test_a_method_explains_its_parameters_and_errors(name):
    """Each parameter by its name, and each exception that its own lines raise."""
    function = METHODS[name]
    told = sections(function)

    assert inspect.getdoc(function)
    assert entries(told.get("Args", "")) == parameters_of(function) or (
        "Args" not in told and is_explained_by_its_twin(name)
    )
    assert raised(function) <= set(entries(told.get("Raises", "")))

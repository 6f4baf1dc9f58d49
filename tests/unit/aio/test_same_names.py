"""The asynchronous twin has the names and the parameters of the synchronous half."""

import inspect

import pytest

import batchai_recipes
from batchai_recipes import aio

TWINS = ("Connection", "JobOutput", "JobRun", "TrainingSession")
# What the twin knowingly has in another way, and why.
DIFFERENT = {
    "JobRun.state": "a method, since it asks the service",
}
# What the twin has beside the synchronous half's public classes.
OWN = {"OpenOutput": "a file object whose methods are coroutines; Python's own has none"}


def members(kind):
    """Return the public members of a class, its constructor among them."""
    return {name for name in dir(kind) if name == "__init__" or not name.startswith("_")}


def pairs():
    """Yield each member of the synchronous half's classes, with that of the twin."""
    for name in TWINS:
        ours, twins = getattr(batchai_recipes, name), getattr(aio, name)
        for member in sorted(members(ours)):
            if f"{name}.{member}" not in DIFFERENT:
                yield f"{name}.{member}", ours, twins


def parameters(kind, member):
    """Return the names, kinds and defaults of a member's parameters; None for an attribute."""
    static = inspect.getattr_static(kind, member)
    function = getattr(static, "__func__", static)
    if not inspect.isroutine(function):
        return None
    signature = inspect.signature(getattr(kind, member))
    return [(one.name, one.kind, one.default) for one in signature.parameters.values()]


@pytest.mark.parametrize(("ours", "twins", "member"), [(o, t, n) for n, o, t in pairs()])
def test_the_twin_has_each_public_name_with_its_parameters(ours, twins, member):
    """In the same order, with the same defaults; an attribute is an attribute."""
    name = member.partition(".")[2]

    assert name in members(twins)
    assert parameters(twins, name) == parameters(ours, name)


def test_the_twin_has_no_class_of_its_own_but_those_that_are_listed():
    """And each exception is one."""
    assert aio.__all__ == sorted([*TWINS, *OWN])
    for name in DIFFERENT:
        kind, _, member = name.partition(".")
        assert member in members(getattr(batchai_recipes, kind))


@pytest.mark.parametrize("name", aio.__all__)
def test_each_class_and_method_says_what_it_is(name):
    """With an example that runs for each class."""
    kind = getattr(aio, name)

    assert ">>> " in (kind.__doc__ or "")
    assert [one for one in members(kind) if not inspect.getdoc(getattr(kind, one))] == []

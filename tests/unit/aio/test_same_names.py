"""The asynchronous twin has the names and the parameters of the synchronous half."""

import inspect

import pytest

import batchai_recipes
from batchai_recipes import aio

# What the twin knowingly has not, or has in another way.
MISSING = {
    "Connection": {
        "files": "azure-storage-file has no asynchronous client: use `synchronous`",
        "downloads": "likewise",
    },
    "JobOutput": {
        "open": "its file objects block: use `read` or `download`",
        "reader": "what `open` reads with",
    },
    "JobRun": {"state": "a method, since it asks the service"},
    "TrainingSession": {},
}
# Where the twin is made of something else.
OWN_PARAMETERS = {"Connection.__init__", "JobOutput.__init__"}


def members(kind):
    """Return the public members of a class, its constructor among them."""
    return {name for name in dir(kind) if name == "__init__" or not name.startswith("_")}


@pytest.mark.parametrize("name", sorted(MISSING))
def test_the_twin_has_every_public_member(name):
    """But for those that are listed with a reason."""
    ours, twins = getattr(batchai_recipes, name), getattr(aio, name)

    assert members(ours) - members(twins) <= set(MISSING[name])
    assert aio.__all__ == sorted(MISSING)


@pytest.mark.parametrize("name", sorted(MISSING))
def test_parameters_are_the_same(name):
    """Names, order, kinds and defaults."""
    ours, twins = getattr(batchai_recipes, name), getattr(aio, name)
    different = []
    for member in members(ours) & members(twins) - set(MISSING[name]):
        static = inspect.getattr_static(ours, member)
        function = getattr(static, "__func__", static)
        if inspect.isroutine(function) and f"{name}.{member}" not in OWN_PARAMETERS:
            both = [inspect.signature(getattr(kind, member)) for kind in (ours, twins)]
            plain = [
                [(p.name, p.kind, p.default) for p in signature.parameters.values()]
                for signature in both
            ]
            if member == "read":  # a number of bytes there, None for the same here
                plain = [[entry[:2] for entry in parameters] for parameters in plain]
            if plain[0] != plain[1]:
                different.append((member, *both))

    assert different == []

"""Variables of the service that a job names, checked against what it declares."""

import difflib
import re
from collections.abc import Container, Iterable, Iterator
from typing import Final

from batchai_recipes.builders.mount import Mount
from batchai_recipes.errors import ConfigurationError

DIRECTORY: Final = re.compile(r"\$\{?AZ_BATCHAI_(INPUT|OUTPUT)_(\w+)\}?", re.ASCII)
# A place that goes on with a wildcard or a variable may be anywhere.
_ROOT: Final = re.compile(r"\$\{?AZ_BATCHAI_(JOB_)?MOUNT_ROOT\b\}?/([\w./+-]*)(?![\w./+*?\[{$\\-])")
# What they hold is no command line or path, and must not appear in a message.
_SECRET: Final = frozenset({"secrets", "containerSettings", "mountVolumes"})


def check_directories(document: object, inputs: Iterable[str], outputs: Iterable[str]) -> None:
    """Check that each input and output directory that a job names is declared.

    Args:
        document: The job's properties as sent over the wire.
        inputs: The ids of its input directories.
        outputs: The ids of its output directories.

    Raises:
        ConfigurationError: One is not; the message names the nearest one that is.

    Example:
        >>> check_directories({"a": "$AZ_BATCHAI_INPUT_DATA/x"}, ["DATA"], [])
    """
    declared = {"INPUT": sorted(inputs), "OUTPUT": sorted(outputs)}
    for text in texts_in(document, without=_SECRET):
        for match in DIRECTORY.finditer(text):
            kind, name = match.groups()
            if name in declared[kind]:
                continue
            near = difflib.get_close_matches(name, declared[kind], 1)
            known = ", ".join(f"${_variable(kind, other)}" for other in declared[kind])
            there = f"there are {known}" if known else "there is none"
            hint = f"{there}; add .{kind.lower()}({name!r})"
            if near:
                hint = f"did you mean ${_variable(kind, near[0])}?"
            raise ConfigurationError(
                f"{text!r} names ${_variable(kind, name)}, which the job does not declare: {hint}"
            )


def check_mounts(document: object, own: tuple[Mount, ...], cluster: tuple[Mount, ...]) -> None:
    """Check that each path under a mount root that a job or setup task names lies on a volume.

    Args:
        document: The properties of the job, or of a setup task, as sent over the wire.
        own: What the job mounts itself.
        cluster: What its cluster mounts.

    Raises:
        ConfigurationError: One does not.

    Example:
        >>> check_mounts({"a": "$AZ_BATCHAI_MOUNT_ROOT"}, (), ())
    """
    for text in texts_in(document, without=_SECRET):
        for match in _ROOT.finditer(text):
            of_job, path = match.groups()
            # A job without volumes of its own finds the cluster's under both roots.
            mounts = own if of_job and own else cluster
            place = path.strip("/")
            if place and ".." not in place and not any(_meet(place, mount.at) for mount in mounts):
                places = ", ".join(repr(mount.at) for mount in mounts) or "nothing"
                who = "the job" if of_job and own else "the cluster"
                raise ConfigurationError(
                    f"{text!r} names the place {place!r}, but {who} mounts {places}: add "
                    f".mount(..., at={place.partition('/')[0]!r})"
                )


def _meet(place: str, mount: str) -> bool:
    """Tell whether a place lies on a volume, or leads to it."""
    return f"{place}/".startswith(f"{mount}/") or f"{mount}/".startswith(f"{place}/")


def _variable(kind: str, name: str) -> str:
    return f"AZ_BATCHAI_{kind}_{name}"


def texts_in(document: object, *, without: Container[str] = frozenset()) -> Iterator[str]:
    """Yield the texts in a document, wherever they stand.

    Args:
        document: Anything that JSON can have.
        without: Properties that are passed over.

    Example:
        >>> list(texts_in({"a": ["x", {"b": "y"}], "c": "z"}, without={"c"}))
        ['x', 'y']
    """
    if isinstance(document, str):
        yield document
    elif isinstance(document, dict):
        for name, value in document.items():
            if name not in without:
                yield from texts_in(value, without=without)
    elif isinstance(document, list):
        for value in document:
            yield from texts_in(value, without=without)

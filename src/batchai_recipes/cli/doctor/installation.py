"""Python and the packages that this library needs."""

import importlib.metadata
import platform
import sys
from collections.abc import Iterator
from typing import Final

from batchai_recipes.cli.doctor.diagnosis import Diagnosis

_OLDEST: Final = (3, 10)
_NEWEST: Final = (3, 13)
_CLIENTS: Final = (
    *("azure-mgmt-batchai", "azure-mgmt-resource", "azure-identity"),
    "azure-storage-file",
)


def check_python(version: tuple[int, int] = sys.version_info[:2]) -> Iterator[Diagnosis]:
    """Check that this Python is one that the library is tested with.

    Args:
        version: Its version.

    Example:
        >>> [diagnosis] = check_python((3, 9))
        >>> diagnosis.state, diagnosis.advice
        ('failed', 'use Python 3.10 to 3.13')
    """
    found = f"{platform.python_version()}, {sys.executable}"
    tested = f"{'.'.join(map(str, _OLDEST))} to {'.'.join(map(str, _NEWEST))}"
    if _OLDEST <= version <= _NEWEST:
        yield Diagnosis("Python", "ok", found)
    elif version < _OLDEST:
        yield Diagnosis("Python", "failed", found, f"use Python {tested}")
    else:
        advice = f"newer than what is tested; if something fails, use Python {tested}"
        yield Diagnosis("Python", "missing", found, advice)


def check_packages() -> Iterator[Diagnosis]:
    """Check that the Azure clients are installed."""
    try:
        found = [f"{name} {importlib.metadata.version(name)}" for name in _CLIENTS]
    except importlib.metadata.PackageNotFoundError as error:
        advice = "install this library again: pip install --force-reinstall batchai-recipes"
        yield Diagnosis("Azure clients", "failed", f"{error.name} is not installed", advice)
    else:
        yield Diagnosis("Azure clients", "ok", ", ".join(found))

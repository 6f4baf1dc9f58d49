"""Names and ids as Batch AI and Azure Files allow them, checked where they are given."""

import difflib
import re
from collections.abc import Iterable
from typing import Final

from batchai_recipes.errors import ConfigurationError
from batchai_recipes.text import checked_text

_RESOURCE_NAME: Final = re.compile(r"[-\w]{1,64}", re.ASCII)
_GROUP_NAME: Final = re.compile(r"[-\w.()]{0,89}[-\w()]")
_DIRECTORY_ID: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SHARE_NAME: Final = re.compile(r"[a-z0-9](?:-?[a-z0-9])*")
_SHARE_NAME_LENGTH: Final = range(3, 64)
_FORBIDDEN_IN_PATHS: Final = frozenset('"\\:|<>*?')


def checked_resource_name(noun: str, name: str) -> str:
    """Return the name of a workspace, cluster, experiment or job if the contract allows it.

    Args:
        noun: What is named, for the message.
        name: The name.

    Raises:
        ConfigurationError: The name has other characters than letters, digits, ``-`` and ``_``, or
            is not 1 to 64 characters long.

    Example:
        >>> checked_resource_name("cluster", "mycluster")
        'mycluster'
    """
    if not _RESOURCE_NAME.fullmatch(checked_text(f"The name of a {noun}", name)):
        raise ConfigurationError(
            f"{name!r} is not a name for a {noun}: use 1 to 64 letters, digits, '-' and '_'"
        )
    return name


def checked_group_name(name: str) -> str:
    """Return the name of a resource group if Azure Resource Manager allows it.

    Args:
        name: The name.

    Raises:
        ConfigurationError: It has other characters than letters, digits, ``-``, ``_``, ``.``, ``(``
            and ``)``, ends with a full stop, or is not 1 to 90 characters long.

    Example:
        >>> checked_group_name("my.group(1)")
        'my.group(1)'
    """
    if not _GROUP_NAME.fullmatch(checked_text("The name of a resource group", name)):
        raise ConfigurationError(
            f"{name!r} is not a name for a resource group: use 1 to 90 letters, digits, '-', '_', "
            f"'(', ')' and '.', not ending with '.'"
        )
    return name


def checked_directory_id(noun: str, identifier: str) -> str:
    """Return the id of an input or output directory if it can be part of a variable's name.

    Args:
        noun: What is named, for the message.
        identifier: The id, such as ``SAMPLE`` for ``$AZ_BATCHAI_INPUT_SAMPLE``.

    Raises:
        ConfigurationError: The id is no part of a variable's name.
    """
    if not _DIRECTORY_ID.fullmatch(checked_text(f"The id of an {noun}", identifier)):
        raise ConfigurationError(
            f"{identifier!r} is not an id for an {noun}: it becomes part of a variable's name, so "
            f"use letters, digits and '_', not beginning with a digit"
        )
    return identifier


def checked_share_name(name: str) -> str:
    """Return the name of a file share if Azure Files allows it.

    Args:
        name: The name.

    Raises:
        ConfigurationError: The name is not 3 to 63 lower-case letters, digits and single hyphens.

    Example:
        >>> checked_share_name("batchaiquickstart")
        'batchaiquickstart'
    """
    checked_text("The name of a file share", name)
    if len(name) not in _SHARE_NAME_LENGTH or not _SHARE_NAME.fullmatch(name):
        raise ConfigurationError(
            f"{name!r} is not a name for a file share: use 3 to 63 lower-case letters, digits and "
            f"single hyphens, beginning and ending with a letter or digit"
        )
    return name


def checked_relative_path(noun: str, path: str) -> str:
    """Return a relative POSIX path without empty, ``.`` or ``..`` parts.

    Args:
        noun: What the path is, for the message.
        path: The path; a closing slash is dropped.

    Raises:
        ConfigurationError: The path is empty, absolute, leaves its root, has a character that
            Azure Files forbids, or is no text in UTF-8.

    Example:
        >>> checked_relative_path("directory", "mnistcntksample/")
        'mnistcntksample'
    """
    trimmed = checked_text(f"The path of a {noun}", path).rstrip("/")
    parts = trimmed.split("/")
    if not trimmed or any(part in {"", ".", ".."} for part in parts):
        raise ConfigurationError(
            f"{path!r} is not a relative path for a {noun}: write it as 'folder/folder', without "
            f"a leading '/', empty parts, '.' or '..'"
        )
    forbidden = sorted({c for c in trimmed if c in _FORBIDDEN_IN_PATHS or ord(c) < ord(" ")})
    if forbidden:
        raise ConfigurationError(
            f"{path!r} is not a path for a {noun}: Azure Files forbids "
            f"{' '.join(map(repr, forbidden))}"
        )
    try:
        trimmed.encode()
    except UnicodeEncodeError as error:  # as a file's name of another encoding reads
        raise ConfigurationError(
            f"{path!r} is not a path for a {noun}: it is no text in UTF-8; rename it"
        ) from error
    return trimmed


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a hint at what a name that is not there may stand for.

    Example:
        >>> nearest("stdot.txt", ["stderr.txt", "stdout.txt"])
        "did you mean 'stdout.txt'?"
        >>> nearest("x", ["stdout.txt"])
        "there is 'stdout.txt'"
    """
    names = sorted(known)
    near = difflib.get_close_matches(name, names, 1)
    if near:
        return f"did you mean {near[0]!r}?"
    return f"there is {', '.join(map(repr, names))}" if names else "there is none"

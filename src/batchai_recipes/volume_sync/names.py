"""Names of a remote volume as paths of a folder, and which of them cannot be one."""

from collections.abc import Iterable

LONGEST_NAME_BYTES = 255
LONGEST_PATH_BYTES = 3500
"""Leaves room for the folder of the copy within the 4096 bytes that Linux takes."""


def problem_of(path: str) -> str:
    """Say why a remote name cannot be a path below a folder.

    Args:
        path: The name, ``/`` between its parts.

    Returns:
        The reason; empty when it can.

    Example:
        >>> problem_of("models/epoch-1.bin")
        ''
        >>> problem_of("../../etc/passwd")
        "it has a part '..'"
    """
    if "\0" in path:
        return "it holds a NUL character"
    parts = path.split("/")
    for part in parts:
        if part in {"", ".", ".."}:
            return f"it has a part {part!r}" if part else "it has an empty part"
    try:
        sizes = [len(part.encode()) for part in parts]
    except UnicodeEncodeError:
        return "it is not Unicode"
    if max(sizes) > LONGEST_NAME_BYTES:
        return f"one of its parts is longer than {LONGEST_NAME_BYTES} bytes"
    if sum(sizes) + len(sizes) > LONGEST_PATH_BYTES:
        return f"it is longer than {LONGEST_PATH_BYTES} bytes"
    return ""


def parents_of(path: str) -> list[str]:
    """Return the directories above a path, the topmost first.

    Args:
        path: The path.

    Example:
        >>> parents_of("a/b/c.txt")
        ['a', 'a/b']
    """
    parts = path.split("/")[:-1]
    return ["/".join(parts[:depth]) for depth in range(1, len(parts) + 1)]


def clashing(files: Iterable[str], directories: Iterable[str]) -> set[str]:
    """Find files that have the name of a directory, as a container may hold ``a`` and ``a/b``.

    Args:
        files: Paths of files.
        directories: Paths of directories.

    Example:
        >>> sorted(clashing(["a", "a/b", "c"], []))
        ['a']
    """
    known = list(files)
    folders = {parent for path in known for parent in parents_of(path)}
    for directory in directories:
        folders.update((directory, *parents_of(directory)))
    return folders.intersection(known)

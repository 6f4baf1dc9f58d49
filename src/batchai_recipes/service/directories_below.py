"""Directories on disk, opened and removed without ever leaving the one they are in.

Each name is opened relative to the directory before it, and no symbolic links are followed. A job
may make directories deeper than Python calls and than a process has file descriptors, and leave
some that their owner cannot list; so nothing here is recursive or keeps one open for each level.
"""

import contextlib
import errno
import os
import stat
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_OPENED: Final = os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# How deep a directory is removed where it is; what is deeper is moved up first.
_FLAT: Final = 64
GONE: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO})
"""Deleted, or something else put in its place: a link, a FIFO."""

Names = tuple[str, ...]


@contextmanager
def opened_below(root: Path, names: Names) -> Iterator[int | None]:
    """Open a directory below another one, for a block.

    Args:
        root: The other one.
        names: The names from there down.

    Yields:
        Its descriptor, or None where there is no such directory (any more).
    """
    descriptor = os.open(root, os.O_RDONLY | _OPENED)
    try:
        found = True
        for name in names:
            try:
                below = os.open(name, os.O_RDONLY | _OPENED, dir_fd=descriptor)
            except OSError as error:
                if error.errno not in GONE:
                    raise
                found = False
                break
            os.close(descriptor)
            descriptor = below
        yield descriptor if found else None
    finally:
        os.close(descriptor)


def remove_tree(root: Path) -> None:
    """Remove a directory with all in it, as far as this user may.

    Args:
        root: The directory, which nobody uses any more; where it is a link or missing, nothing
            happens.
    """
    pending: list[Names] = [()]
    emptied: set[Names] = set()
    with contextlib.suppress(OSError):
        _make_accessible(root)
    while pending:
        names = pending[-1]
        if names in emptied:
            pending.pop()
            _remove_empty(root, names)
            continue
        emptied.add(names)
        with contextlib.suppress(OSError), opened_below(root, names) as directory:
            if directory is None:
                continue
            for name, is_directory in _children(directory):
                with contextlib.suppress(OSError):
                    if not is_directory:
                        os.unlink(name, dir_fd=directory)
                        continue
                    _make_accessible(name, directory)
                    if len(names) < _FLAT:
                        pending.append((*names, name))
                    else:  # moved up, so that no path to it gets long
                        pending.append((_moved_up(root, directory, name),))


def _children(directory: int) -> list[tuple[str, bool]]:
    with os.scandir(directory) as items:
        return [(item.name, item.is_dir(follow_symlinks=False)) for item in items]


def _make_accessible(place: str | Path, parent: int | None = None) -> None:
    opened = os.open(place, os.O_PATH | _OPENED, dir_fd=parent)
    try:
        mode = stat.S_IMODE(os.fstat(opened).st_mode)
        if mode & stat.S_IRWXU != stat.S_IRWXU:
            # What is opened so can be changed by no other name, and links cannot lead astray.
            Path(f"/proc/self/fd/{opened}").chmod(mode | stat.S_IRWXU)
    finally:
        os.close(opened)


def _moved_up(root: Path, directory: int, name: str) -> str:
    above = f".{uuid.uuid4().hex}"
    os.rename(name, root / above, src_dir_fd=directory)
    return above


def _remove_empty(root: Path, names: Names) -> None:
    with contextlib.suppress(OSError):
        if not names:
            root.rmdir()
            return
        with opened_below(root, names[:-1]) as parent:
            if parent is not None:
                os.rmdir(names[-1], dir_fd=parent)

"""Copying and measuring whole directories on disk, without ever leaving them."""

import contextlib
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from batchai_recipes.service.directories_below import GONE, Names, opened_below
from batchai_recipes.service.files.byte_range import ByteRange
from batchai_recipes.service.files.extents import data_extents
from batchai_recipes.service.files.paths import MAXIMUM_DEPTH

_SOURCE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_TARGET: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_STEP: Final = 64 * 2**20

Seen = Callable[[Names, os.stat_result, os.stat_result], None]


def copy_tree(source: Path, target: Path, seen: Seen) -> None:
    """Copy a directory with all the files and directories in it, and their times.

    Left out is what no address of the file service can name: symbolic links and other special
    files, what lies deeper than Azure Files has levels, and what is deleted meanwhile. Where the
    disk can (btrfs, XFS), copies share their blocks with what they are copies of.

    Args:
        source: The directory.
        target: Where the copy is to be; nothing must be there.
        seen: Told of each file and directory, the copied one itself among them: its names from the
            root down, its status and that of its copy.

    Raises:
        OSError: The disk refuses; what has been copied stays.
    """
    target.mkdir(mode=0o700)
    done: list[tuple[Names, os.stat_result]] = []
    for names, origin in _walk(source):
        with opened_below(target, names) as copy:
            if copy is None:
                continue
            status = os.fstat(origin)
            seen(names, status, os.fstat(copy))
            done.append((names, status))
            for name, kind in _children(origin):
                if kind == "file":
                    _copy_file(origin, copy, name, (*names, name), seen)
                elif len(names) < MAXIMUM_DEPTH:
                    os.mkdir(name, mode=0o700, dir_fd=copy)
    for names, status in reversed(done):  # the times of a directory, once nothing more goes into it
        with opened_below(target, names) as copy:
            if copy is not None:
                os.utime(copy, ns=(status.st_atime_ns, status.st_mtime_ns))


def tree_size(root: Path) -> int:
    """Return the sum of the sizes of the files in a directory and below it, in bytes.

    Args:
        root: The directory.

    Raises:
        OSError: The directory cannot be read.
    """
    total = 0
    for _, directory in _walk(root):
        with os.scandir(directory) as items:
            for item in items:
                with contextlib.suppress(FileNotFoundError):  # deleted since it was listed
                    if item.is_file(follow_symlinks=False):
                        total += item.stat(follow_symlinks=False).st_size
    return total


def copy_content(source: int, target: int) -> None:
    """Copy a file's bytes into an empty one; holes stay holes.

    Args:
        source: The descriptor of the file.
        target: The descriptor of the copy, writable.

    Raises:
        OSError: The disk refuses.
    """
    size = os.fstat(source).st_size
    os.ftruncate(target, size)
    if size == 0:
        return
    for extent in data_extents(source, ByteRange(0, size - 1)):
        offset = extent.start
        while offset <= extent.end:
            step = min(_STEP, extent.end + 1 - offset)
            copied = os.copy_file_range(source, target, step, offset, offset)
            if copied == 0:  # cut short by a job meanwhile
                return
            offset += copied


def _walk(root: Path) -> Iterator[tuple[Names, int]]:
    """Open a directory and each one below it, in turn, down to the depth of Azure Files."""
    pending: list[Names] = [()]
    while pending:
        names = pending.pop()
        with opened_below(root, names) as directory:
            if directory is None:
                continue
            if len(names) < MAXIMUM_DEPTH:
                pending.extend(
                    (*names, name) for name, kind in _children(directory) if kind == "directory"
                )
            yield names, directory


def _children(directory: int) -> Iterator[tuple[str, str]]:
    with os.scandir(directory) as items:
        for item in items:
            if item.is_dir(follow_symlinks=False):
                yield item.name, "directory"
            elif item.is_file(follow_symlinks=False):
                yield item.name, "file"


def _copy_file(origin: int, copy: int, name: str, names: Names, seen: Seen) -> None:
    try:
        source = os.open(name, _SOURCE, dir_fd=origin)
    except OSError as error:
        if error.errno in GONE:
            return
        raise
    try:
        status = os.fstat(source)
        if not stat.S_ISREG(status.st_mode):
            return
        target = os.open(name, _TARGET, 0o600, dir_fd=copy)
        try:
            copy_content(source, target)
            os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))
            seen(names, status, os.fstat(target))
        finally:
            os.close(target)
    finally:
        os.close(source)

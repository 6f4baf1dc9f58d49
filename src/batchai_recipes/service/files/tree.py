"""Walking a share on disk without ever leaving it.

Every name is opened relative to the directory before it, with ``O_NOFOLLOW``: a symbolic link that
a job planted, even between two steps of a walk, ends the walk instead of leading out of the share.
Names are found without regard to case; where a job made two that differ only in case, the exact one
counts.
"""

import errno
import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal

from attrs import frozen

from batchai_recipes.service.files.errors import ErrorCode, FileServiceError
from batchai_recipes.service.files.name_index import NameIndex
from batchai_recipes.service.files.paths import SharePath

Kind = Literal["file", "directory", "other"]

_DIRECTORY_FLAGS: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# O_NONBLOCK: opening a FIFO that a job made must not wait for its other end.
_FILE_FLAGS: Final = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@frozen
class Found:
    """What a name turned out to be.

    Args:
        name: The name as it is on disk.
        status: What the disk says of it, links not followed.
    """

    name: str
    status: os.stat_result

    @property
    def kind(self) -> Kind:
        """Whether it is a file, a directory or something that is not served (a link, a FIFO)."""
        if stat.S_ISREG(self.status.st_mode):
            return "file"
        return "directory" if stat.S_ISDIR(self.status.st_mode) else "other"


@frozen
class ShareTree:
    """The files and directories of one share.

    Args:
        root: The share's folder.
        index: Finds names without regard to case.
    """

    root: Path
    index: NameIndex

    @contextmanager
    def directory(self, path: SharePath) -> Iterator[int]:
        """Open a directory.

        Args:
            path: Where it is.

        Yields:
            Its file descriptor, closed when the block ends.

        Raises:
            FileServiceError: It or a directory above it is missing, or is no directory.
        """
        if path.is_root:
            descriptor = os.open(self.root, _DIRECTORY_FLAGS)
        else:
            with self.parent(path) as parent:
                found = self.existing(parent, path)
                if found.kind != "directory":
                    raise wrong_kind(path, found.kind, wanted="directory")
                descriptor = os.open(found.name, _DIRECTORY_FLAGS, dir_fd=parent)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    @contextmanager
    def parent(self, path: SharePath) -> Iterator[int]:
        """Open the directory that holds, or would hold, a path.

        Args:
            path: A path other than the root.

        Yields:
            The directory's file descriptor, closed when the block ends.

        Raises:
            FileServiceError: A directory above the path is missing or no directory.
        """
        descriptor = os.open(self.root, _DIRECTORY_FLAGS)
        try:
            for depth, name in enumerate(path.names[:-1], start=1):
                found = self.find(descriptor, name)
                if found is None or found.kind != "directory":
                    raise _no_parent(SharePath(path.names[:depth]))
                try:
                    below = os.open(found.name, _DIRECTORY_FLAGS, dir_fd=descriptor)
                except (FileNotFoundError, NotADirectoryError) as error:
                    # Gone, or made into a link, since it was found.
                    raise _no_parent(SharePath(path.names[:depth])) from error
                os.close(descriptor)
                descriptor = below
            yield descriptor
        finally:
            os.close(descriptor)

    @contextmanager
    def file(self, path: SharePath, *, writable: bool) -> Iterator[int]:
        """Open a file for as long as a block lasts.

        Args:
            path: Where it is.
            writable: Whether it will be written to.

        Yields:
            Its file descriptor.

        Raises:
            FileServiceError: It is missing or no file.
        """
        descriptor = self.open_file(path, writable=writable)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def open_file(self, path: SharePath, *, writable: bool) -> int:
        """Open a file.

        Args:
            path: Where it is.
            writable: Whether it will be written to.

        Returns:
            Its file descriptor, which the caller closes.

        Raises:
            FileServiceError: It is missing or no file.
        """
        if path.is_root:
            raise wrong_kind(path, "directory", wanted="file")
        with self.parent(path) as parent:
            found = self.existing(parent, path)
            if found.kind != "file":
                raise wrong_kind(path, found.kind, wanted="file")
            return open_regular(parent, found.name, path, os.O_RDWR if writable else os.O_RDONLY)

    def existing(self, parent: int, path: SharePath) -> Found:
        """Find the last name of a path.

        Args:
            parent: The descriptor of the directory that holds it.
            path: The whole path.

        Raises:
            FileServiceError: It is not there.
        """
        found = self.find(parent, path.name)
        if found is None:
            raise path.missing()
        return found

    def find(self, directory: int, name: str) -> Found | None:
        """Look for a name in an open directory, first as it is, then without regard to case.

        Args:
            directory: The directory's file descriptor.
            name: The name, without separators.

        Returns:
            What it is, or None.
        """
        exact = _look(directory, name)
        if exact is not None:
            return exact
        for alike in self.index.alike(directory, name):
            found = _look(directory, alike)
            if found is not None:  # else gone since
                return found
        return None


def _look(directory: int, name: str) -> Found | None:
    try:
        return Found(name, os.stat(name, dir_fd=directory, follow_symlinks=False))
    except FileNotFoundError:
        return None


def open_regular(parent: int, name: str, path: SharePath, flags: int) -> int:
    """Open a regular file, and nothing else, in an open directory.

    Args:
        parent: The directory's file descriptor.
        name: The file's name on disk.
        path: The path asked for, for messages.
        flags: How to open, as for :func:`os.open`.

    Returns:
        The file descriptor, which the caller closes.

    Raises:
        FileServiceError: Something else has that name, a symbolic link for instance.
    """
    try:
        descriptor = os.open(name, flags | _FILE_FLAGS, 0o666, dir_fd=parent)
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.ENXIO}:  # a link; a FIFO without a reader
            raise wrong_kind(path, "other", wanted="file") from error
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise wrong_kind(path, "other", wanted="file")
    return descriptor


def wrong_kind(path: SharePath, kind: Kind, *, wanted: Kind) -> FileServiceError:
    """Return the refusal of an operation on something that it is not for.

    Args:
        path: What was asked for.
        kind: What is there.
        wanted: What the operation is for.
    """
    if kind == "other":
        return FileServiceError(
            ErrorCode.RESOURCE_TYPE_MISMATCH,
            f"{str(path)!r} is a symbolic link or another special file, which the file service "
            "neither follows nor writes.",
        )
    return FileServiceError(
        ErrorCode.RESOURCE_TYPE_MISMATCH,
        f"{str(path)!r} is a {kind}, and the operation is for a {wanted}.",
    )


def _no_parent(path: SharePath) -> FileServiceError:
    return FileServiceError(
        ErrorCode.PARENT_NOT_FOUND,
        f"There is no directory {str(path)!r}; create it, and those above it, first.",
    )


_REFUSALS: Final = {
    errno.ENAMETOOLONG: (
        ErrorCode.INVALID_RESOURCE_NAME,
        "The name is too long for the disk; use fewer characters (255 bytes of UTF-8).",
    ),
    errno.ENOENT: (ErrorCode.RESOURCE_NOT_FOUND, "It was removed while the request ran."),
    errno.ENOTDIR: (ErrorCode.RESOURCE_NOT_FOUND, "It was replaced while the request ran."),
    errno.ELOOP: (ErrorCode.RESOURCE_NOT_FOUND, "Symbolic links are not followed."),
    errno.EISDIR: (ErrorCode.RESOURCE_TYPE_MISMATCH, "There is a directory of that name."),
    errno.EEXIST: (ErrorCode.RESOURCE_ALREADY_EXISTS, "There is something of that name."),
    errno.ENOTEMPTY: (ErrorCode.DIRECTORY_NOT_EMPTY, "Delete what is in the directory first."),
    errno.EACCES: (ErrorCode.READ_ONLY_ATTRIBUTE, "Its permissions on disk deny this."),
    errno.EPERM: (ErrorCode.READ_ONLY_ATTRIBUTE, "Its permissions on disk deny this."),
    errno.EROFS: (ErrorCode.READ_ONLY_ATTRIBUTE, "The disk is mounted read-only."),
    errno.ENOSPC: (ErrorCode.DISK_FULL, "The disk of the service is full; make room on it."),
    errno.EDQUOT: (ErrorCode.DISK_FULL, "The disk quota of the service's user is used up."),
    errno.EFBIG: (ErrorCode.INVALID_HEADER_VALUE, "The disk cannot hold a file of that size."),
}


def disk_refusal(error: OSError | sqlite3.OperationalError) -> FileServiceError | None:
    """Put a refusal by the disk into Azure's words.

    Args:
        error: What the operating system said, or what SQLite made of it.

    Returns:
        The refusal, or None where the error is none of a share's state but of this service.
    """
    if isinstance(error, sqlite3.OperationalError):
        # Python 3.10 tells no code, but the text is SQLite's own for SQLITE_FULL.
        number = errno.ENOSPC if "disk is full" in str(error) else 0
    else:
        number = error.errno or 0
    known = _REFUSALS.get(number)
    return None if known is None else FileServiceError(*known)

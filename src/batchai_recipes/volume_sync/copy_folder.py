"""The folder that holds a copy: read and written without ever being led out of it.

A job may plant symbolic links at any time. So each directory is opened relative to the one before
it, without following links, and a file appears under its name only when it is whole.
"""

import os
import stat
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from attrs import field, frozen

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@frozen
class Stamp:
    """What tells whether a file has been written to or replaced.

    Args:
        size: Its size in bytes.
        modified_ns: When it was last written, in nanoseconds since 1970.
        inode: Its number on the disk.
    """

    size: int
    modified_ns: int
    inode: int

    @classmethod
    def of(cls, status: os.stat_result) -> "Stamp":
        """Take it from what the disk says."""
        return cls(status.st_size, status.st_mtime_ns, status.st_ino)


@frozen
class Scan:
    """What is in a folder.

    Args:
        files: The regular files, by path.
        directories: The directories.
        skipped: What is neither, or has a name that is not UTF-8, and why it cannot be copied.
    """

    files: dict[str, Stamp] = field(factory=dict)
    directories: set[str] = field(factory=set)
    skipped: dict[str, str] = field(factory=dict)


class CopyFolder:
    """The files and directories of a copy.

    Args:
        root: The folder that the copy's users see; must exist.
        parts: Where files are written until they are whole; on the same disk.
    """

    def __init__(self, root: Path, parts: Path) -> None:
        self._root = root
        self._parts = parts

    def scan(self) -> Scan:
        """Look at everything in the folder.

        Raises:
            OSError: Part of it cannot be read, so that nobody knows what is there.
        """
        found = Scan()
        descriptor = os.open(self._root, _DIRECTORY)
        try:
            self._scan(descriptor, "", found)
        finally:
            os.close(descriptor)
        return found

    def stamp(self, path: str) -> Stamp | None:
        """Return the stamp of a file, or None where there is none."""
        name = path.rpartition("/")[2]
        try:
            with self._parent(path) as parent:
                status = os.stat(name, dir_fd=parent, follow_symlinks=False)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError:
            return None
        return Stamp.of(status) if stat.S_ISREG(status.st_mode) else None

    @contextmanager
    def reading(self, path: str) -> Iterator[tuple[BinaryIO, Stamp]]:
        """Open a file for reading.

        Args:
            path: The file.

        Yields:
            The file, and its stamp from before anything was read.

        Raises:
            OSError: It is not there, or no regular file.
        """
        with self._parent(path) as parent:
            descriptor = os.open(path.rpartition("/")[2], _FILE, dir_fd=parent)
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise FileNotFoundError(f"{path!r} is no regular file any more")
            yield file, Stamp.of(status)

    @contextmanager
    def writing(self, path: str, *, mode: int, directory_mode: int) -> Iterator["NewFile"]:
        """Write a file that appears, or takes the place of another, when the block ends well.

        Args:
            path: Where.
            mode: Its permission bits.
            directory_mode: Those of directories that are missing above it.

        Yields:
            The file to write into.

        Raises:
            OSError: The disk refuses.
        """
        part = self._parts / uuid.uuid4().hex
        new = NewFile(part.open("xb"))
        try:
            with new.file as file:
                yield new
                file.flush()
                os.fchmod(file.fileno(), mode)
                if new.modified_ns is not None:
                    os.utime(file.fileno(), ns=(new.modified_ns, new.modified_ns))
                stamp = Stamp.of(os.fstat(file.fileno()))
            with self._parent(path, make_mode=directory_mode) as parent:
                os.rename(part, path.rpartition("/")[2], dst_dir_fd=parent)
            new.stamp = stamp
        finally:
            part.unlink(missing_ok=True)

    def remove_file(self, path: str) -> None:
        """Remove a file, if it is there."""
        with suppress(FileNotFoundError, NotADirectoryError), self._parent(path) as parent:
            os.unlink(path.rpartition("/")[2], dir_fd=parent)

    def make_directory(self, path: str, mode: int) -> None:
        """Make a directory and those above it.

        Raises:
            OSError: Something else has that name, or the disk refuses.
        """
        with self._parent(f"{path}/x", make_mode=mode):
            pass

    def remove_directory(self, path: str) -> None:
        """Remove a directory if it is there and empty."""
        with suppress(OSError), self._parent(path) as parent:
            os.rmdir(path.rpartition("/")[2], dir_fd=parent)

    @contextmanager
    def _parent(self, path: str, *, make_mode: int | None = None) -> Iterator[int]:
        descriptor = os.open(self._root, _DIRECTORY)
        try:
            for name in path.split("/")[:-1]:
                if make_mode is not None:
                    _ensure_directory(name, descriptor, make_mode)
                below = os.open(name, _DIRECTORY, dir_fd=descriptor)
                os.close(descriptor)
                descriptor = below
            yield descriptor
        finally:
            os.close(descriptor)

    def _scan(self, directory: int, prefix: str, found: Scan) -> None:
        with os.scandir(directory) as entries:
            for entry in entries:
                path = prefix + entry.name
                try:
                    path.encode()
                except UnicodeEncodeError:
                    found.skipped[repr(path)] = "its name is not UTF-8"
                    continue
                try:
                    status = entry.stat(follow_symlinks=False)
                    if stat.S_ISDIR(status.st_mode):
                        self._scan_below(directory, entry.name, path, found)
                        continue
                except FileNotFoundError:
                    continue  # removed just now
                if stat.S_ISREG(status.st_mode):
                    found.files[path] = Stamp.of(status)
                else:
                    kind = "a symbolic link" if stat.S_ISLNK(status.st_mode) else "no regular file"
                    found.skipped[path] = f"it is {kind}"

    def _scan_below(self, directory: int, name: str, path: str, found: Scan) -> None:
        try:
            below = os.open(name, _DIRECTORY, dir_fd=directory)
        except (NotADirectoryError, OSError) as error:
            if isinstance(error, PermissionError):
                raise
            raise FileNotFoundError(path) from error  # replaced just now
        try:
            found.directories.add(path)
            self._scan(below, f"{path}/", found)
        finally:
            os.close(below)


class NewFile:
    """A file that is being written.

    Args:
        file: What to write into.
    """

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.modified_ns: int | None = None
        self.stamp: Stamp | None = None


def _ensure_directory(name: str, parent: int, mode: int) -> None:
    try:
        os.mkdir(name, dir_fd=parent)
    except FileExistsError:
        return
    with suppress(OSError):  # a link by now: opening it will say so
        descriptor = os.open(name, _DIRECTORY, dir_fd=parent)
        os.fchmod(descriptor, mode)
        os.close(descriptor)

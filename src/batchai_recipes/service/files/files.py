"""Files: making, reading, describing, resizing and deleting them."""

import contextlib
import os
from collections.abc import Callable, Mapping
from io import FileIO

from attrs import evolve, frozen

from batchai_recipes.service.files.body import Content
from batchai_recipes.service.files.entries import Entries, Entry, Properties
from batchai_recipes.service.files.errors import EMPTY, ErrorCode, FileServiceError
from batchai_recipes.service.files.extents import write_all
from batchai_recipes.service.files.guard import FREE, Guard
from batchai_recipes.service.files.leases import Lease
from batchai_recipes.service.files.locks import InodeLocks
from batchai_recipes.service.files.paths import Location
from batchai_recipes.service.files.quotas import Quotas
from batchai_recipes.service.files.shares import Shares
from batchai_recipes.service.files.stamps import Stamps
from batchai_recipes.service.files.tree import Found, open_regular, wrong_kind


@frozen
class NewFile:
    """A file to be made.

    Args:
        size: Its size in bytes; it reads as zeros where nothing has been written.
        content: Its first bytes.
        headers: Its content headers.
        metadata: The user's metadata.
    """

    size: int
    content: Content = b""
    headers: Mapping[str, str] = EMPTY
    metadata: Mapping[str, str] = EMPTY


class Files:
    """The files of all shares.

    Args:
        shares: Tells where a share lies on disk.
        entries: What is recorded of files.
        stamps: Gives times of change.
        names: Locks that keep two requests from making one name in a directory.
        contents: Locks that keep a file's size still while a range is written.
        quotas: Tells whether there is room in a share.
    """

    def __init__(
        self,
        shares: Shares,
        entries: Entries,
        stamps: Stamps,
        names: InodeLocks,
        contents: InodeLocks,
        *,
        quotas: Quotas,
    ) -> None:
        self._shares = shares
        self._entries = entries
        self._stamps = stamps
        self._names = names
        self._contents = contents
        self._quotas = quotas

    def create(
        self, location: Location, new: NewFile, *, may_replace: bool, guard: Guard = FREE
    ) -> Properties:
        """Make a file, or make an existing one anew.

        Args:
            location: Where; the directory above must exist.
            new: What to make.
            may_replace: Whether the caller may replace a file that is there.
            guard: What must hold.

        Returns:
            What is known of it.

        Raises:
            FileServiceError: It cannot be made there, or exists and may not be replaced.
        """
        path = location.path
        if path.is_root:
            raise wrong_kind(path, "directory", wanted="file")
        tree = self._shares.tree(location)
        with tree.parent(path) as parent, self._names.hold(parent):
            found = tree.find(parent, path.name)
            self._check_replaceable(location, found, may_replace=may_replace)
            old = None if found is None else self._entries.properties(location, found.status)
            guard.write(old)
            self._quotas.reserve(location, new.size - (old.size if old else 0))
            name = path.name if found is None else found.name
            # Without the right to replace, the file must not be there at the very moment either.
            exclusive = 0 if may_replace else os.O_EXCL
            descriptor = open_regular(parent, name, path, os.O_RDWR | os.O_CREAT | exclusive)
            try:
                return self._fill(location, descriptor, new, old)
            except BaseException:
                if found is None:
                    with contextlib.suppress(FileNotFoundError):
                        os.unlink(name, dir_fd=parent)
                raise
            finally:
                os.close(descriptor)

    def _check_replaceable(
        self, location: Location, found: Found | None, *, may_replace: bool
    ) -> None:
        if found is None:
            location.path.check_new()
        elif found.kind != "file":
            raise wrong_kind(location.path, found.kind, wanted="file")
        elif not may_replace:
            raise FileServiceError(
                ErrorCode.AUTHORIZATION_PERMISSION_MISMATCH,
                "The signature permits to create files but not to replace this one: that takes w.",
            )

    def _fill(
        self, location: Location, descriptor: int, new: NewFile, old: Properties | None
    ) -> Properties:
        with self._contents.hold(descriptor):
            os.ftruncate(descriptor, 0)
            os.ftruncate(descriptor, new.size)
            write_all(descriptor, new.content, 0)
            status = self._stamps.touch(descriptor)
        lease = Lease() if old is None else old.entry.lease
        if not new.headers and not new.metadata and not lease.id:
            self._entries.remove(location)
            return Properties(status, Entry())
        entry = Entry(new.metadata, new.headers, self._stamps.after(0), lease)
        return self._entries.put(location, status, entry)

    def properties(self, location: Location, guard: Guard = FREE) -> Properties:
        """Return what is known of a file.

        Args:
            location: Where it is.
            guard: What must hold.

        Raises:
            FileServiceError: It is not there.
        """
        with self._shares.tree(location).file(location.path, writable=False) as descriptor:
            known = self._entries.properties(location, os.fstat(descriptor))
            guard.read(known)
            return known

    def open(self, location: Location, guard: Guard = FREE) -> tuple[FileIO, Properties]:
        """Open a file for reading.

        Args:
            location: Where it is.
            guard: What must hold.

        Returns:
            The open file, which the caller closes, and what is known of it.

        Raises:
            FileServiceError: It is not there.
        """
        descriptor = self._shares.tree(location).open_file(location.path, writable=False)
        file = FileIO(descriptor, "r")
        try:
            known = self._entries.properties(location, os.fstat(descriptor))
            guard.read(known)
            return file, known
        except BaseException:
            file.close()
            raise

    def set_metadata(
        self, location: Location, metadata: Mapping[str, str], guard: Guard = FREE
    ) -> Properties:
        """Replace a file's metadata.

        Args:
            location: Where it is.
            metadata: The new metadata.
            guard: What must hold.

        Returns:
            What is now known of it.

        Raises:
            FileServiceError: It is not there.
        """
        return self._record(location, guard, metadata=metadata)

    def set_properties(
        self,
        location: Location,
        *,
        headers: Mapping[str, str] | None,
        size: int | None,
        guard: Guard = FREE,
    ) -> Properties:
        """Replace a file's content headers, change its size, or both.

        Args:
            location: Where it is.
            headers: All of its new content headers; None leaves them.
            size: Its new size in bytes; None leaves it.
            guard: What must hold.

        Returns:
            What is now known of it.

        Raises:
            FileServiceError: It is not there.
        """
        if headers is None:
            return self._resize(location, size, guard)
        if size is not None:
            self._resize(location, size, guard)
            guard = guard.after_write()  # it has held, and the ETag is another one now
        return self._record(location, guard, headers=headers)

    def delete(self, location: Location, guard: Guard = FREE) -> None:
        """Delete a file.

        A symbolic link or another special file that a job made is deleted too, itself and not what
        it points to: otherwise no client could ever empty its directory.

        Args:
            location: Where it is.
            guard: What must hold.

        Raises:
            FileServiceError: It is not there, or is a directory.
        """
        path = location.path
        if path.is_root:
            raise wrong_kind(path, "directory", wanted="file")
        tree = self._shares.tree(location)
        with tree.parent(path) as parent, self._names.hold(parent):
            found = tree.existing(parent, path)
            if found.kind == "directory":
                raise wrong_kind(path, found.kind, wanted="file")
            guard.write(self._entries.properties(location, found.status))
            os.unlink(found.name, dir_fd=parent)
            self._entries.remove(location)

    def change_lease(self, location: Location, change: Callable[[Lease], Lease]) -> Properties:
        """Replace a file's lease; its ETag stays.

        Args:
            location: Where it is.
            change: Makes the new lease of the old one.

        Returns:
            What is now known of it.

        Raises:
            FileServiceError: It is not there, or the change is refused.
        """
        with (
            self._shares.tree(location).file(location.path, writable=False) as descriptor,
            self._contents.hold(descriptor) as status,
        ):
            entry = self._entries.properties(location, status).entry
            changed = evolve(entry, lease=change(entry.lease))
            return self._entries.put(location, status, changed)

    def _resize(self, location: Location, size: int | None, guard: Guard) -> Properties:
        with (
            self._shares.tree(location).file(location.path, writable=True) as descriptor,
            self._contents.hold(descriptor) as before,
        ):
            known = self._entries.properties(location, before)
            guard.write(known)
            if size is None:
                return known
            self._quotas.reserve(location, size - known.size)
            os.ftruncate(descriptor, size)
            return Properties(self._stamps.touch(descriptor), known.entry)

    def _record(
        self,
        location: Location,
        guard: Guard,
        *,
        headers: Mapping[str, str] | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> Properties:
        with (
            self._shares.tree(location).file(location.path, writable=False) as descriptor,
            # Of two requests that change different parts of the entry, neither undoes the other.
            self._contents.hold(descriptor) as status,
        ):
            known = self._entries.properties(location, status)
            guard.write(known)
            old = known.entry
            new = Entry(
                metadata=old.metadata if metadata is None else metadata,
                headers=old.headers if headers is None else headers,
                changed_ns=self._stamps.after(old.changed_ns),
                lease=old.lease,
            )
            return self._entries.put(location, status, new)

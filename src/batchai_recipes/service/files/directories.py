"""Directories: making, listing, describing and deleting them."""

import heapq
import os
from collections.abc import Iterator, Mapping, Sequence

from attrs import evolve, frozen

from batchai_recipes.service.files.entries import Entries, Entry, Properties
from batchai_recipes.service.files.errors import ErrorCode, FileServiceError
from batchai_recipes.service.files.guard import FREE, Guard
from batchai_recipes.service.files.locks import InodeLocks
from batchai_recipes.service.files.paths import Location, SharePath, fold
from batchai_recipes.service.files.shares import Shares
from batchai_recipes.service.files.stamps import Stamps
from batchai_recipes.service.files.tree import wrong_kind


@frozen
class Listed:
    """One line of a directory listing.

    Args:
        name: The name of the file or directory.
        size: The file's size in bytes; None for a directory.
        known: What is known of it, where it was asked for.
    """

    name: str
    size: int | None
    known: Properties | None = None

    @property
    def is_directory(self) -> bool:
        """Whether it is a directory."""
        return self.size is None


class Directories:
    """The directories of all shares.

    Args:
        shares: Tells where a share lies on disk.
        entries: What is recorded of directories.
        stamps: Gives times of change.
        names: Locks that keep two requests from making one name in a directory.
    """

    def __init__(self, shares: Shares, entries: Entries, stamps: Stamps, names: InodeLocks) -> None:
        self._shares = shares
        self._entries = entries
        self._stamps = stamps
        self._names = names

    def create(self, location: Location, metadata: Mapping[str, str]) -> Properties:
        """Make a directory.

        Args:
            location: Where; the directory above must exist.
            metadata: The user's metadata.

        Returns:
            What is known of it.

        Raises:
            FileServiceError: It exists, or cannot be made there.
        """
        path = location.path
        if path.is_root:
            raise _exists(location)
        tree = self._shares.tree(location)
        with tree.parent(path) as parent, self._names.hold(parent):
            found = tree.find(parent, path.name)
            if found is not None and found.kind == "directory":
                raise _exists(location)
            if found is not None:
                raise wrong_kind(path, found.kind, wanted="directory")
            path.check_new()
            os.mkdir(path.name, dir_fd=parent)
            status = os.stat(path.name, dir_fd=parent, follow_symlinks=False)
            if metadata:
                entry = Entry(metadata=metadata, changed_ns=self._stamps.after(0))
                return self._entries.put(location, status, entry)
            self._entries.remove(location)
            return Properties(status, Entry())

    def properties(self, location: Location, guard: Guard = FREE) -> Properties:
        """Return what is known of a directory.

        Args:
            location: Where it is.
            guard: What must hold.

        Raises:
            FileServiceError: It is not there.
        """
        with self._shares.tree(location).directory(location.path) as descriptor:
            known = self._entries.properties(location, os.fstat(descriptor))
            guard.read(known)
            return known

    def check_entry(self, location: Location) -> None:
        """Make sure that there is a file or directory.

        Args:
            location: Where it should be.

        Raises:
            FileServiceError: It is not there.
        """
        if location.path.is_root:
            self.properties(location)
            return
        tree = self._shares.tree(location)
        with tree.parent(location.path) as parent:
            tree.existing(parent, location.path)

    def set_metadata(
        self, location: Location, metadata: Mapping[str, str], guard: Guard = FREE
    ) -> Properties:
        """Replace a directory's metadata.

        Args:
            location: Where it is.
            metadata: The new metadata.
            guard: What must hold.

        Returns:
            What is now known of it.

        Raises:
            FileServiceError: It is not there.
        """
        return self._record(location, metadata, guard)

    def touch(self, location: Location, guard: Guard = FREE) -> Properties:
        """Note that a directory's properties were set now.

        Args:
            location: Where it is.
            guard: What must hold.

        Returns:
            What is now known of it.

        Raises:
            FileServiceError: It is not there.
        """
        return self._record(location, None, guard)

    def list(
        self,
        location: Location,
        *,
        prefix: str,
        after: str,
        limit: int,
        described: bool = False,
    ) -> Sequence[Listed]:
        """List a directory in the order of the folded names.

        Left out is what the file service does not serve: symbolic links and other special files,
        and names that are not UTF-8, which no address could name.

        Args:
            location: Where the directory is.
            prefix: What the names start with, in any case.
            after: The name after which to start; empty for the beginning.
            limit: How many names at most.
            described: Whether to tell all that is known of each.

        Raises:
            FileServiceError: It is not there.
        """
        folded = fold(prefix)
        start = _order(after) if after else None
        with self._shares.tree(location).directory(location.path) as descriptor:
            # The sizes are asked only of the names that will be shown.
            candidates = (
                (_order(item.name), item)
                for item in _served(descriptor)
                if fold(item.name).startswith(folded)
            )
            page = heapq.nsmallest(
                limit,
                (item for item in candidates if start is None or item[0] > start),
                key=lambda candidate: candidate[0],
            )
            if described:
                return [
                    listed for _, item in page for listed in self._describe_fully(location, item)
                ]
            return [listed for _, item in page for listed in _describe(item)]

    def delete(self, location: Location, guard: Guard = FREE) -> None:
        """Delete an empty directory.

        Args:
            location: Where it is.
            guard: What must hold.

        Raises:
            FileServiceError: It is not there, not empty, or the root of its share.
        """
        path = location.path
        if path.is_root:
            raise FileServiceError(
                ErrorCode.INVALID_RESOURCE_NAME,
                "The root directory goes with its share; delete the share (restype=share).",
            )
        tree = self._shares.tree(location)
        with tree.parent(path) as parent, self._names.hold(parent):
            found = tree.existing(parent, path)
            if found.kind != "directory":
                raise wrong_kind(path, found.kind, wanted="directory")
            guard.write(self._entries.properties(location, found.status))
            os.rmdir(found.name, dir_fd=parent)
            self._entries.remove(location)

    def _record(
        self, location: Location, metadata: Mapping[str, str] | None, guard: Guard
    ) -> Properties:
        with (
            self._shares.tree(location).directory(location.path) as descriptor,
            # Of two requests that change different parts of the entry, neither undoes the other.
            self._names.hold(descriptor) as status,
        ):
            known = self._entries.properties(location, status)
            guard.write(known)
            stamp = self._stamps.after(known.entry.changed_ns)
            kept = known.entry.metadata if metadata is None else metadata
            entry = Entry(metadata=kept, changed_ns=stamp)
            return self._entries.put(location, known.status, entry)

    def _describe_fully(self, location: Location, item: "os.DirEntry[str]") -> Iterator[Listed]:
        for listed in _describe(item):
            try:
                status = item.stat(follow_symlinks=False)
            except FileNotFoundError:  # deleted since it was read
                return
            path = SharePath((*location.path.names, item.name))
            known = self._entries.properties(evolve(location, path=path), status)
            yield evolve(listed, known=known)


def _exists(location: Location) -> FileServiceError:
    return FileServiceError(
        ErrorCode.RESOURCE_ALREADY_EXISTS, f"There is a directory {str(location.path)!r} already."
    )


def _order(name: str) -> tuple[str, str]:
    return fold(name), name


def _served(directory: int) -> Iterator["os.DirEntry[str]"]:
    with os.scandir(directory) as items:
        for item in items:
            utf8 = not any("\ud800" <= character <= "\udfff" for character in item.name)
            if utf8 and (item.is_dir(follow_symlinks=False) or item.is_file(follow_symlinks=False)):
                yield item


def _describe(item: "os.DirEntry[str]") -> Iterator[Listed]:
    try:
        directory = item.is_dir(follow_symlinks=False)
        yield Listed(item.name, None if directory else item.stat(follow_symlinks=False).st_size)
    except FileNotFoundError:  # deleted since it was read
        return

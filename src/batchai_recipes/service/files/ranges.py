"""Ranges: writing, clearing and listing parts of a file."""

import os
from collections.abc import Sequence

from attrs import evolve

from batchai_recipes.service.files.body import Content
from batchai_recipes.service.files.byte_range import ByteRange, RangeRequest, outside
from batchai_recipes.service.files.entries import Entries, Properties
from batchai_recipes.service.files.errors import ErrorCode, FileServiceError
from batchai_recipes.service.files.extents import (
    changed_extents,
    clear_extent,
    data_extents,
    write_all,
)
from batchai_recipes.service.files.guard import FREE, Guard
from batchai_recipes.service.files.locks import InodeLocks
from batchai_recipes.service.files.paths import Location
from batchai_recipes.service.files.shares import Shares
from batchai_recipes.service.files.stamps import Stamps
from batchai_recipes.service.files.tree import ShareTree


class Ranges:
    """The ranges of all files.

    Args:
        shares: Tells where a share lies on disk.
        entries: What is recorded of files.
        stamps: Gives times of change.
        contents: Locks that keep a file's size still while a range is written.
    """

    def __init__(
        self, shares: Shares, entries: Entries, stamps: Stamps, contents: InodeLocks
    ) -> None:
        self._shares = shares
        self._entries = entries
        self._stamps = stamps
        self._contents = contents

    def write(
        self, location: Location, target: ByteRange, data: Content, guard: Guard = FREE
    ) -> Properties:
        """Write a range of a file.

        Args:
            location: Where the file is.
            target: The range, within the file.
            data: As many bytes as the range has.
            guard: What must hold.

        Returns:
            What is now known of the file.

        Raises:
            FileServiceError: The file is not there or ends before the range.
        """
        return self._change(location, target, data, guard)

    def clear(self, location: Location, target: ByteRange, guard: Guard = FREE) -> Properties:
        """Make a range of a file read as zeros and take no room.

        Args:
            location: Where the file is.
            target: The range, within the file.
            guard: What must hold.

        Returns:
            What is now known of the file.

        Raises:
            FileServiceError: The file is not there or ends before the range.
        """
        return self._change(location, target, None, guard)

    def list(
        self, location: Location, within: RangeRequest | None, guard: Guard = FREE
    ) -> tuple[Sequence[ByteRange], Properties]:
        """Find the ranges of a file that hold data.

        Args:
            location: Where the file is.
            within: Where to look; None for the whole file.
            guard: What must hold.

        Returns:
            The ranges in order, and what is known of the file.

        Raises:
            FileServiceError: The file is not there or ends before the range.
        """
        with self._shares.tree(location).file(location.path, writable=False) as descriptor:
            known = self._entries.properties(location, os.fstat(descriptor))
            guard.read(known)
            if within is None and known.size == 0:
                return [], known
            part = (within or RangeRequest(0, None)).of_size(known.size)
            return list(data_extents(descriptor, part)), known

    def changes(
        self,
        location: Location,
        previous: str,
        within: RangeRequest | None,
        guard: Guard = FREE,
    ) -> tuple[Sequence[ByteRange], Sequence[ByteRange], Properties]:
        """Find the ranges of a file that are not what they were in a snapshot.

        Args:
            location: Where the file is.
            previous: The time that names the snapshot.
            within: Where to look; None for the whole file.
            guard: What must hold.

        Returns:
            The ranges that hold other data, those that hold none any more, both in order, and what
            is known of the file.

        Raises:
            FileServiceError: The file or the snapshot is not there, or the file ends before the
                range.
        """
        before = evolve(location, snapshot=previous)
        try:
            old_tree = self._shares.tree(before)
        except FileServiceError as error:
            raise FileServiceError(ErrorCode.PREVIOUS_SNAPSHOT_NOT_FOUND, error.message) from error
        with self._shares.tree(location).file(location.path, writable=False) as descriptor:
            known = self._entries.properties(location, os.fstat(descriptor))
            guard.read(known)
            if within is None and known.size == 0:
                return [], [], known
            part = (within or RangeRequest(0, None)).of_size(known.size)
            try:
                old = old_tree.open_file(location.path, writable=False)
            except FileServiceError:  # the file is newer than the snapshot
                return list(data_extents(descriptor, part)), [], known
            try:
                return *changed_extents(old, descriptor, part), known
            finally:
                os.close(old)

    def _change(
        self, location: Location, target: ByteRange, data: Content | None, guard: Guard
    ) -> Properties:
        tree = self._shares.tree(location)
        while True:
            changed = self._change_opened(tree, location, target, data, guard)
            if changed is not None:
                return changed

    def _change_opened(
        self,
        tree: ShareTree,
        location: Location,
        target: ByteRange,
        data: Content | None,
        guard: Guard,
    ) -> Properties | None:
        """Change a range; None where another file took the file's place before it was locked."""
        with tree.file(location.path, writable=True) as descriptor:
            # Parallel writes to one file wait for each other only while the kernel copies the
            # bytes, as they would in the kernel itself.
            with self._contents.hold(descriptor) as before:
                if before.st_nlink == 0:
                    return None
                known = self._entries.properties(location, before)
                guard.write(known)
                if target.end >= before.st_size:
                    raise outside(before.st_size)
                if data is None:
                    clear_extent(descriptor, target)
                else:
                    write_all(descriptor, data, target.start)
                status = self._stamps.touch(descriptor)
            return Properties(status, known.entry)

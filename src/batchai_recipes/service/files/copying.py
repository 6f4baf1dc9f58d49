"""Copying files within the service: whole ones, and ranges of them."""

import os
import uuid
from collections.abc import Mapping
from email.utils import format_datetime
from pathlib import Path

from batchai_recipes.service.files.byte_range import ByteRange
from batchai_recipes.service.files.entries import Entries, Entry, Properties
from batchai_recipes.service.files.errors import ErrorCode, FileServiceError
from batchai_recipes.service.files.guard import Guard
from batchai_recipes.service.files.leases import Lease
from batchai_recipes.service.files.locks import InodeLocks
from batchai_recipes.service.files.paths import Location
from batchai_recipes.service.files.quotas import Quotas
from batchai_recipes.service.files.share_folders import COPY_PREFIX
from batchai_recipes.service.files.shares import Shares
from batchai_recipes.service.files.stamps import Stamps, moment_of
from batchai_recipes.service.files.tree import wrong_kind
from batchai_recipes.service.files.whole_trees import copy_content
from batchai_recipes.service.state_directory import StateDirectory


class Copying:
    """Copies files.

    Args:
        shares: Tells where a share lies on disk.
        entries: What is recorded of files.
        stamps: Gives times of change.
        names: Locks that keep two requests from making one name in a directory.
        quotas: Tells whether there is room in a share.
        state: Where a copy lies until it is complete.
    """

    def __init__(
        self,
        shares: Shares,
        entries: Entries,
        stamps: Stamps,
        names: InodeLocks,
        *,
        quotas: Quotas,
        state: StateDirectory,
    ) -> None:
        self._shares = shares
        self._entries = entries
        self._stamps = stamps
        self._names = names
        self._quotas = quotas
        self._state = state

    def copy(
        self,
        source: Location,
        destination: Location,
        metadata: Mapping[str, str],
        guard: Guard,
        *,
        source_url: str,
        may_replace: bool,
    ) -> Properties:
        """Copy a file; the copy appears when it is complete, in place of any that was there.

        Args:
            source: The file to copy.
            destination: Where the copy is to be.
            metadata: The copy's metadata; where empty, that of the source.
            guard: What must hold for the destination.
            source_url: The source's URL without a signature, kept with the copy.
            may_replace: Whether the caller may replace a file that is there.

        Returns:
            What is known of the copy.

        Raises:
            FileServiceError: The source is not there, or the copy cannot be made.
        """
        if destination.path.is_root:
            raise wrong_kind(destination.path, "directory", wanted="file")
        origin = self._shares.tree(source)
        aside = self._aside(destination.account)
        try:
            with origin.file(source.path, writable=False) as descriptor:
                known = self._entries.properties(source, os.fstat(descriptor))
                _copy_aside(descriptor, aside)
            stamp = self._stamps.after(0)
            headers = {
                **known.entry.headers,
                "x-ms-copy-id": str(uuid.uuid4()),
                "x-ms-copy-source": source_url,
                "x-ms-copy-status": "success",
                "x-ms-copy-progress": f"{known.size}/{known.size}",
                "x-ms-copy-completion-time": format_datetime(moment_of(stamp), usegmt=True),
            }
            entry = Entry(metadata or known.entry.metadata, headers, stamp)
            return self._place(aside, destination, entry, guard, may_replace=may_replace)
        finally:
            aside.unlink(missing_ok=True)

    def read(self, source: Location, part: ByteRange) -> bytes:
        """Return a range of a file.

        Args:
            source: The file.
            part: The range.

        Raises:
            FileServiceError: The file is not there or ends before the range.
        """
        with self._shares.tree(source).file(source.path, writable=False) as descriptor:
            content = os.pread(descriptor, part.length, part.start)
        if len(content) != part.length:
            raise FileServiceError(
                ErrorCode.INVALID_RANGE, "The source range does not lie within the source file."
            )
        return content

    def _place(
        self,
        aside: Path,
        destination: Location,
        entry: Entry,
        guard: Guard,
        *,
        may_replace: bool,
    ) -> Properties:
        path = destination.path
        tree = self._shares.tree(destination)
        with tree.parent(path) as parent, self._names.hold(parent):
            found = tree.find(parent, path.name)
            lease = Lease()
            replaced = 0
            if found is None:
                path.check_new()
                guard.write(None)
            elif found.kind != "file":
                raise wrong_kind(path, found.kind, wanted="file")
            elif not may_replace:
                raise FileServiceError(
                    ErrorCode.AUTHORIZATION_PERMISSION_MISMATCH,
                    "The signature permits to create files but not to replace this one: that "
                    "takes w.",
                )
            else:
                old = self._entries.properties(destination, found.status)
                guard.write(old)
                lease, replaced = old.entry.lease, old.size
            self._quotas.reserve(destination, aside.stat().st_size - replaced)
            name = path.name if found is None else found.name
            os.rename(aside, name, dst_dir_fd=parent)
            status = os.stat(name, dir_fd=parent, follow_symlinks=False)
            recorded = Entry(entry.metadata, entry.headers, entry.changed_ns, lease)
            return self._entries.put(destination, status, recorded)

    def _aside(self, account: str) -> Path:
        return self._state.shares / account / f"{COPY_PREFIX}{uuid.uuid4().hex}"


def _copy_aside(source: int, target: Path) -> None:
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        copy_content(source, descriptor)
    finally:
        os.close(descriptor)

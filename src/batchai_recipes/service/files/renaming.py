"""Renaming files and directories within their share."""

import os
import stat
from functools import partial
from typing import Literal

from batchai_recipes.service.files.entries import Entries, Properties
from batchai_recipes.service.files.errors import ErrorCode, FileServiceError, invalid_header
from batchai_recipes.service.files.guard import Guard
from batchai_recipes.service.files.locks import InodeLocks
from batchai_recipes.service.files.paths import Location
from batchai_recipes.service.files.shares import Shares
from batchai_recipes.service.files.stamps import Stamps
from batchai_recipes.service.files.tree import Found, wrong_kind

RENAME_SOURCE = "x-ms-file-rename-source"


class Renaming:
    """Gives files and directories other names.

    Args:
        shares: Tells where a share lies on disk.
        entries: What is recorded of files and directories.
        stamps: Gives times of change.
        names: Locks that keep two requests from making one name in a directory.
    """

    def __init__(self, shares: Shares, entries: Entries, stamps: Stamps, names: InodeLocks) -> None:
        self._shares = shares
        self._entries = entries
        self._stamps = stamps
        self._names = names

    def rename(
        self,
        source: Location,
        destination: Location,
        kind: Literal["file", "directory"],
        guard: Guard,
        *,
        replaces: bool,
    ) -> Properties:
        """Rename a file or directory.

        Args:
            source: Where it is.
            destination: Where it is to be, in the same share.
            kind: What it must be.
            guard: What must hold.
            replaces: Whether a file that is there may be replaced.

        Returns:
            What is now known of it.

        Raises:
            FileServiceError: It is not there, or cannot be moved there.
        """
        _check(source, destination)
        tree = self._shares.tree(source)
        with (
            tree.parent(source.path) as origin,
            tree.parent(destination.path) as target,
            self._names.hold_both(origin, target),
        ):
            found = tree.existing(origin, source.path)
            if found.kind != kind:
                raise wrong_kind(source.path, found.kind, wanted=kind)
            guard.of_source().write(self._entries.properties(source, found.status))
            there = tree.find(target, destination.path.name)
            if there is not None and there.status.st_ino != found.status.st_ino:
                _check_replaceable(destination, there, replaces=replaces)
                guard.of_destination().write(self._entries.properties(destination, there.status))
                name = there.name
            else:
                destination.path.check_new()
                name = destination.path.name
            rename = partial(os.rename, found.name, name, src_dir_fd=origin, dst_dir_fd=target)
            self._entries.move(source, destination, found.status.st_ino, rename)
            status = os.stat(name, dir_fd=target, follow_symlinks=False)
            return self._entries.properties(destination, status)

    def finish(self) -> None:
        """Finish what a crash interrupted between a rename and its records."""
        self._entries.finish_moves(self._inode_at)

    def _inode_at(self, location: Location) -> int | None:
        tree = self._shares.tree(location)
        try:
            with tree.parent(location.path) as parent:
                return tree.existing(parent, location.path).status.st_ino
        except FileServiceError:
            return None


def _check(source: Location, destination: Location) -> None:
    if source.path.is_root or destination.path.is_root:
        raise wrong_kind(source.path, "directory", wanted="file")
    if (source.account, source.share) != (destination.account, destination.share):
        raise invalid_header(
            RENAME_SOURCE, str(source.path), "a rename stays in its share; copy and delete instead"
        )
    if destination.path.folded.startswith(f"{source.path.folded}/"):
        raise invalid_header(
            RENAME_SOURCE, str(source.path), "a directory cannot be moved into itself"
        )


def _check_replaceable(destination: Location, there: Found, *, replaces: bool) -> None:
    if not replaces:
        raise FileServiceError(
            ErrorCode.RESOURCE_ALREADY_EXISTS,
            f"There is something at {str(destination.path)!r} already; to replace a file, send "
            "x-ms-file-rename-replace-if-exists: true.",
        )
    if not stat.S_ISREG(there.status.st_mode):
        raise wrong_kind(destination.path, there.kind, wanted="file")

"""What the records hold of a file or directory because a plain directory on disk cannot.

An entry is about one inode: where a job has replaced the file by another, its entry no longer
counts. (The disk may give a new file the inode of a deleted one; then the new file shows the old
one's metadata, until a client sets its own.)

Entries outlive the service, a kill included, as the content of files does; like the content, they
are not flushed to the disk one by one.
"""

import hashlib
import json
import os
import sqlite3
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final

from attrs import field, frozen

from batchai_recipes.service.files.errors import EMPTY, ShareNotFoundError
from batchai_recipes.service.files.leases import NO_LEASE, Lease
from batchai_recipes.service.files.paths import Location, SharePath
from batchai_recipes.service.files.stamps import moment_of
from batchai_recipes.service.remembered import Remembered
from batchai_recipes.service.store import Store

_SELECT: Final = (
    "SELECT metadata, headers, inode, changed_ns, lease FROM file_entries "
    "WHERE account = ? AND share = ? AND path = ?"
)
_SELECT_OF_SNAPSHOT: Final = (
    "SELECT metadata, headers, inode, changed_ns, '{}' AS lease FROM snapshot_entries "
    "WHERE account = ? AND share = ? AND path = ? AND stamp = ?"
)


@frozen
class Entry:
    """The recorded part of a file or directory.

    Args:
        metadata: The user's metadata, names as first written.
        headers: Content headers by the name that an answer gives them.
        changed_ns: When this was last changed, in nanoseconds since 1970; 0 for never.
        lease: The lease on it.
    """

    metadata: Mapping[str, str] = field(default=EMPTY)
    headers: Mapping[str, str] = field(default=EMPTY)
    changed_ns: int = 0
    lease: Lease = NO_LEASE


NO_ENTRY: Final = Entry()
"""What is recorded of a file that nothing is recorded of."""


@frozen
class Properties:
    """Everything known of a file or directory: the disk's part and the recorded one.

    Args:
        status: The disk's part.
        entry: The recorded part.
    """

    status: os.stat_result
    entry: Entry

    @property
    def size(self) -> int:
        """The size in bytes."""
        return self.status.st_size

    @property
    def etag(self) -> str:
        """A quoted text that changes with every write, by clients and by jobs."""
        status = self.status
        state = (
            f"{status.st_ino} {status.st_size} {status.st_mtime_ns} {status.st_ctime_ns} "
            f"{self.entry.changed_ns}"
        )
        return f'"0x{hashlib.blake2b(state.encode(), digest_size=8).hexdigest().upper()}"'

    @property
    def last_modified(self) -> datetime:
        """The time of the last change of content, metadata or headers."""
        return moment_of(max(self.status.st_mtime_ns, self.entry.changed_ns))


class Entries:
    """The entries of all shares.

    Args:
        store: Where they are kept.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._recorded = Remembered(store, self._load, survives_power_loss=False)

    def properties(self, location: Location, status: os.stat_result) -> Properties:
        """Return what is known of a file or directory.

        Args:
            location: Where it is.
            status: What the disk says of it.
        """
        recorded = self._recorded((*_key(location), location.snapshot))
        if recorded is None or recorded[0] != str(status.st_ino):
            return Properties(status, NO_ENTRY)
        return Properties(status, recorded[1])

    def put(self, location: Location, status: os.stat_result, entry: Entry) -> Properties:
        """Record an entry in place of any that was there.

        Args:
            location: Where the file or directory is.
            status: What the disk says of it.
            entry: What to record.

        Returns:
            What is now known of it.

        Raises:
            ShareNotFoundError: The share has been deleted meanwhile.
        """
        try:
            with self._store.write(survives_power_loss=False) as records:
                records.execute(
                    "INSERT OR REPLACE INTO file_entries "
                    "(account, share, path, metadata, headers, inode, changed_ns, lease) "
                    "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                    (
                        *_key(location),
                        json.dumps(dict(entry.metadata)),
                        json.dumps(dict(entry.headers)),
                        str(status.st_ino),  # as text: an inode may exceed SQLite's integers
                        entry.changed_ns,
                        entry.lease.dump(),
                    ),
                )
        except sqlite3.IntegrityError as error:
            raise ShareNotFoundError(location.account, location.share) from error
        return Properties(status, entry)

    def remove(self, location: Location) -> None:
        """Forget what was recorded of a file or directory, if anything was."""
        if self._recorded((*_key(location), "")) is None:
            return  # a transaction less for each file that never had metadata
        with self._store.write(survives_power_loss=False) as records:
            records.execute(
                "DELETE FROM file_entries WHERE account = ? AND share = ? AND path = ?",
                _key(location),
            )

    def move(
        self, source: Location, destination: Location, inode: int, rename: Callable[[], None]
    ) -> None:
        """Let what was recorded of a file, or of a directory and all below it, follow a rename.

        A rename that the records follow is noted first, so that they do so after a crash too.

        Args:
            source: Where it was.
            destination: Where it is, in the same share.
            inode: Which file or directory it is on disk.
            rename: Renames it; where that fails, nothing is recorded.
        """
        account, share, old = _key(source)
        new = destination.path.folded
        if old == new or not self._has_any(account, share, old, new):
            rename()
            return
        noted = (account, share, old, new)
        with self._store.write(survives_power_loss=False) as records:
            records.execute(
                "INSERT OR REPLACE INTO file_renames VALUES (?, ?, ?, ?, ?)", (*noted, str(inode))
            )
        try:
            with self._store.write(survives_power_loss=False) as records:
                _follow(records, *noted)
                rename()
        except OSError:
            with self._store.write(survives_power_loss=False) as records:
                _forget_rename(records, account, share, new)
            raise

    def finish_moves(self, inode_at: Callable[[Location], int | None]) -> None:
        """Finish what a crash interrupted between a rename and its records.

        Args:
            inode_at: Tells what is at a location on disk, or that nothing is.
        """
        with self._store.read() as records:
            rows = records.execute("SELECT * FROM file_renames").fetchall()
        for row in rows:
            account, share, new = row["account"], row["share"], row["destination"]
            location = Location(account, share, SharePath(tuple(new.split("/"))))
            is_done = str(inode_at(location)) == row["inode"]
            with self._store.write() as records:
                if is_done:
                    _follow(records, account, share, row["source"], new)
                _forget_rename(records, account, share, new)

    def _has_any(self, account: str, share: str, *paths: str) -> bool:
        return any(
            self._store.one(
                "SELECT 1 FROM file_entries WHERE account = ? AND share = ? "
                "AND (path = ? OR (path > ? AND path < ?))",
                (account, share, path, f"{path}/", f"{path}0"),  # "0" follows "/"
            )
            for path in paths
        )

    def _load(self, key: tuple[str, str, str, str]) -> tuple[str, Entry] | None:
        """Read an entry with the inode that it is about."""
        *place, snapshot = key
        row = self._store.one(*((_SELECT_OF_SNAPSHOT, key) if snapshot else (_SELECT, place)))
        if row is None:
            return None
        entry = Entry(
            json.loads(row["metadata"]),
            json.loads(row["headers"]),
            row["changed_ns"],
            Lease.load(row["lease"]),
        )
        return row["inode"], entry


def _follow(records: sqlite3.Connection, account: str, share: str, old: str, new: str) -> None:
    # What was recorded of a file that the rename replaced.
    records.execute(
        "DELETE FROM file_entries WHERE account = ? AND share = ? AND path = ?",
        (account, share, new),
    )
    records.execute(
        "UPDATE OR REPLACE file_entries SET path = ? || substr(path, ?) WHERE account = ? "
        "AND share = ? AND (path = ? OR (path > ? AND path < ?))",
        (new, len(old) + 1, account, share, old, f"{old}/", f"{old}0"),
    )
    _forget_rename(records, account, share, new)


def _forget_rename(records: sqlite3.Connection, account: str, share: str, new: str) -> None:
    records.execute(
        "DELETE FROM file_renames WHERE account = ? AND share = ? AND destination = ?",
        (account, share, new),
    )


def _key(location: Location) -> tuple[str, str, str]:
    return location.account, location.share, location.path.folded

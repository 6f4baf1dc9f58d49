"""Share snapshots: read-only copies of a share as it was at one moment.

A snapshot is a folder of its own beside the shares. What clients write waits while it is made, so
it holds all of each request or nothing; what jobs write meanwhile may be in it or not. It is there
for clients once it is recorded, which comes last.

Source:
    https://learn.microsoft.com/rest/api/storageservices/snapshot-share
"""

import os
import sqlite3
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from attrs import evolve

from batchai_recipes.service.clock import iso_timestamp
from batchai_recipes.service.directories_below import remove_tree
from batchai_recipes.service.files.errors import ErrorCode, FileServiceError, ShareNotFoundError
from batchai_recipes.service.files.gates import Gates
from batchai_recipes.service.files.guard import FREE, Guard
from batchai_recipes.service.files.paths import SharePath
from batchai_recipes.service.files.share import Share, dump_metadata
from batchai_recipes.service.files.share_folders import SNAPSHOT_PREFIX, remove_folder
from batchai_recipes.service.files.shares import Shares
from batchai_recipes.service.files.stamps import Stamps, long_timestamp, moment_of, stamp_of
from batchai_recipes.service.files.whole_trees import copy_tree
from batchai_recipes.service.state_directory import StateDirectory
from batchai_recipes.service.store import Store

MOST: Final = 200
"""How many snapshots a share may have."""


class Snapshots:
    """The snapshots of all shares.

    Args:
        store: Where they are recorded.
        state: Where their folders are.
        shares: The shares.
        stamps: Gives the times that name them.
        gates: Keep clients from changing a share meanwhile.
    """

    def __init__(
        self, store: Store, state: StateDirectory, shares: Shares, stamps: Stamps, gates: Gates
    ) -> None:
        self._store = store
        self._state = state
        self._shares = shares
        self._stamps = stamps
        self._gates = gates

    def create(
        self, account: str, name: str, metadata: Mapping[str, str], guard: Guard = FREE
    ) -> Share:
        """Make a snapshot of a share.

        Args:
            account: The storage account.
            name: The share's name.
            metadata: The snapshot's metadata; where empty, that of the share.
            guard: What must hold for the share.

        Returns:
            The snapshot.

        Raises:
            FileServiceError: There is no such share, it has too many snapshots already, or another
                one is being made.
        """
        with self._gates.still(account, name):
            share = self._shares.get(account, name)
            guard.share(share.lease, share.etag, share.modified_at, writes=False)
            snapshot = evolve(share, snapshot=self._next_stamp(share))
            if metadata:
                snapshot = self._shares.changed(evolve(snapshot, metadata=metadata))
            aside = self._state.shares / account / f"{SNAPSHOT_PREFIX}{uuid.uuid4().hex}"
            folder = self._state.share_snapshot(account, name, snapshot.snapshot)
            try:
                entries = self._copy(snapshot, aside)
                folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                aside.rename(folder)
                self._record(snapshot, entries)
            except BaseException:
                remove_tree(aside)
                remove_tree(folder)
                raise
        return snapshot

    def delete(self, account: str, name: str, stamp: str) -> None:
        """Delete a snapshot.

        Args:
            account: The storage account.
            name: The share's name.
            stamp: The time that names the snapshot.

        Raises:
            FileServiceError: There is no such snapshot.
        """
        with self._store.write() as records:
            deleted = records.execute(
                "DELETE FROM share_snapshots WHERE account = ? AND share = ? AND stamp = ?",
                (account, name, stamp),
            ).rowcount
        if not deleted:
            self._shares.get(account, name, stamp)  # which tells what is missing
        folder = self._state.share_snapshot(account, name, stamp)
        aside = self._state.shares / account / f"{SNAPSHOT_PREFIX}{uuid.uuid4().hex}"
        folder.rename(aside)
        remove_folder(aside)

    def finish(self) -> None:
        """Remove what snapshots an earlier process left half made, or half deleted."""
        for incomplete in self._state.shares.glob(f"*/{SNAPSHOT_PREFIX}*"):
            remove_folder(incomplete)
        with self._store.read() as records:
            rows = records.execute("SELECT account, share, stamp FROM share_snapshots").fetchall()
        recorded = {self._state.share_snapshot(*row) for row in rows}
        for folder in self._state.shares.glob("*/.snapshots/*/*"):
            if folder not in recorded:
                remove_folder(folder)

    def _next_stamp(self, share: Share) -> str:
        with self._store.read() as records:
            row = records.execute(
                "SELECT count(*) AS number, max(stamp) AS last FROM share_snapshots "
                "WHERE account = ? AND share = ?",
                (share.account, share.name),
            ).fetchone()
        if row["number"] >= MOST:
            raise FileServiceError(
                ErrorCode.SHARE_SNAPSHOT_COUNT_EXCEEDED,
                f"A share has at most {MOST} snapshots; delete one first.",
            )
        # Times of day may go back; the names of snapshots only grow.
        last = 0 if row["last"] is None else stamp_of(row["last"])
        return long_timestamp(moment_of(self._stamps.after(last + 1000)))

    def _copy(self, snapshot: Share, target: Path) -> Sequence[tuple[Any, ...]]:
        """Copy the share's folder; returns what is to be recorded of the copy's files."""
        with self._store.read() as records:
            rows = records.execute(
                "SELECT path, metadata, headers, inode, changed_ns FROM file_entries "
                "WHERE account = ? AND share = ?",
                (snapshot.account, snapshot.name),
            ).fetchall()
        known: dict[tuple[str, str], sqlite3.Row] = {
            (row["path"], row["inode"]): row for row in rows
        }
        entries: list[tuple[Any, ...]] = []

        def seen(names: tuple[str, ...], original: os.stat_result, copy: os.stat_result) -> None:
            path = SharePath(names).folded if known else ""
            row = known.get((path, str(original.st_ino)))
            if row is not None:
                entries.append(
                    (path, row["metadata"], row["headers"], str(copy.st_ino), row["changed_ns"])
                )

        copy_tree(self._shares.root(snapshot.account, snapshot.name), target, seen)
        return entries

    def _record(self, snapshot: Share, entries: Sequence[tuple[Any, ...]]) -> None:
        key = (snapshot.account, snapshot.name, snapshot.snapshot)
        try:
            with self._store.write() as records:
                records.execute(
                    "INSERT INTO share_snapshots VALUES (?, ?, ?, ?, ?, ?, ?)",
                    (
                        *key,
                        snapshot.quota_gib,
                        dump_metadata(snapshot.metadata),
                        snapshot.etag,
                        iso_timestamp(snapshot.modified_at),
                    ),
                )
                records.executemany(
                    "INSERT INTO snapshot_entries VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                    [(*key, *entry) for entry in entries],
                )
        except sqlite3.IntegrityError as error:  # the share was deleted meanwhile
            raise ShareNotFoundError(snapshot.account, snapshot.name) from error

"""Shares: directories that clients reach over REST and jobs through the disk."""

import sqlite3
import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from attrs import evolve

from batchai_recipes.service.clock import Clock, iso_timestamp
from batchai_recipes.service.files.access_policies import (
    AccessPolicy,
    dump_policies,
)
from batchai_recipes.service.files.addressing import share_name
from batchai_recipes.service.files.errors import (
    EMPTY,
    ErrorCode,
    FileServiceError,
    ShareNotFoundError,
)
from batchai_recipes.service.files.guard import FREE, Guard
from batchai_recipes.service.files.leases import Lease
from batchai_recipes.service.files.name_index import NameIndex
from batchai_recipes.service.files.paths import Location
from batchai_recipes.service.files.share import (
    ITSELF,
    Share,
    dump_metadata,
    share_of_row,
    snapshot_of_row,
)
from batchai_recipes.service.files.share_folders import ShareFolders, remove_folder
from batchai_recipes.service.files.tree import ShareTree
from batchai_recipes.service.files.whole_trees import tree_size
from batchai_recipes.service.remembered import Remembered
from batchai_recipes.service.state_directory import StateDirectory
from batchai_recipes.service.store import Store

DEFAULT_QUOTA_GIB: Final = 5120


class Shares:
    """The shares of all accounts.

    Args:
        store: Where they are recorded.
        state: Where their folders are.
        clock: Tells the time of changes.
    """

    def __init__(self, store: Store, state: StateDirectory, clock: Clock) -> None:
        self._store = store
        self._folders = ShareFolders(state)
        self._clock = clock
        self._known = Remembered(store, self._load)
        # Records and folders change together: no share is created while one is deleted.
        self._lock = threading.Lock()
        self._names = NameIndex()

    def create(
        self,
        account: str,
        name: str,
        *,
        quota_gib: int = DEFAULT_QUOTA_GIB,
        metadata: Mapping[str, str] = EMPTY,
    ) -> Share:
        """Create a share.

        Args:
            account: The storage account.
            name: The share's name.
            quota_gib: How much it may hold, in GiB.
            metadata: The user's metadata.

        Returns:
            The share.

        Raises:
            FileServiceError: The name cannot be one, or is taken.
        """
        share = self.changed(
            Share(account, share_name(name), quota_gib, metadata, "", self._clock.now())
        )
        with self._lock:
            if self._find(account, name) is not None:
                raise FileServiceError(
                    ErrorCode.SHARE_ALREADY_EXISTS,
                    f"The storage account {account!r} has a share {name!r} already.",
                )
            left = self._folders.set_aside(account, name)  # by a crash in the midst of a deletion
            self._folders.of(account, name).mkdir(parents=True)
            moment = iso_timestamp(share.modified_at)
            with self._store.write() as records:
                records.execute(
                    "INSERT INTO shares (account, name, quota_gib, metadata, etag, created_at, "
                    "modified_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
                    (account, name, quota_gib, dump_metadata(metadata), share.etag, moment, moment),
                )
        for aside in left:
            remove_folder(aside)
        return share

    def get(self, account: str, name: str, snapshot: str = "") -> Share:
        """Return a share, or a snapshot of one.

        Args:
            account: The storage account.
            name: The share's name.
            snapshot: The time that names the snapshot; empty for the share itself.

        Raises:
            FileServiceError: There is none.
        """
        share = self._find(account, name)
        if share is None:
            raise ShareNotFoundError(account, name)
        if not snapshot:
            return share
        with self._store.read() as records:
            row = records.execute(
                "SELECT * FROM share_snapshots WHERE account = ? AND share = ? AND stamp = ?",
                (account, name, snapshot),
            ).fetchone()
        if row is None:
            raise FileServiceError(
                ErrorCode.SHARE_SNAPSHOT_NOT_FOUND,
                f"The share {name!r} has no snapshot {snapshot}; list the shares with "
                "include=snapshots.",
            )
        return snapshot_of_row(row)

    def root(self, account: str, share: str) -> Path:
        """Return the folder that is a share.

        Args:
            account: The storage account.
            share: The share's name.

        Raises:
            ShareNotFoundError: There is no such share.
        """
        self.get(account, share)
        return self._folders.of(account, share)

    def tree(self, location: Location) -> ShareTree:
        """Return the files and directories of the share that a location is in.

        Args:
            location: The location.

        Raises:
            FileServiceError: There is no such share, or snapshot of it.
        """
        account, share, snapshot = location.account, location.share, location.snapshot
        self.get(account, share, snapshot)
        return ShareTree(self._folders.of(account, share, snapshot), self._names)

    def list(
        self,
        account: str,
        *,
        prefix: str,
        after: tuple[str, str],
        limit: int,
        with_snapshots: bool = False,
    ) -> Sequence[Share]:
        """Return shares of an account in the order of their names.

        Args:
            account: The storage account.
            prefix: What the names start with.
            after: The name, and the snapshot of it, after which to start; see `Share.place`.
            limit: How many at most.
            with_snapshots: Whether to put each share's snapshots before it, the oldest one first.
        """
        with self._store.read() as records:
            rows = records.execute(
                "SELECT name, :itself AS stamp FROM shares WHERE account = :account "
                "AND substr(name, 1, :length) = :prefix AND (name, :itself) > (:name, :stamp) "
                "UNION ALL SELECT share, stamp FROM share_snapshots WHERE :with_snapshots "
                "AND account = :account AND substr(share, 1, :length) = :prefix "
                "AND (share, stamp) > (:name, :stamp) ORDER BY name, stamp LIMIT :limit",
                {
                    "account": account,
                    "prefix": prefix,
                    "length": len(prefix),
                    "name": after[0],
                    "stamp": after[1],
                    "limit": limit,
                    "with_snapshots": with_snapshots,
                    "itself": ITSELF,
                },
            ).fetchall()
            return [_listed(records, account, row["name"], row["stamp"]) for row in rows]

    def change(
        self,
        account: str,
        name: str,
        *,
        quota_gib: int | None = None,
        metadata: Mapping[str, str] | None = None,
        policies: tuple[AccessPolicy, ...] | None = None,
        guard: Guard = FREE,
    ) -> Share:
        """Change what is recorded of a share.

        Args:
            account: The storage account.
            name: The share's name.
            quota_gib: Its new quota in GiB; None leaves it.
            metadata: Its new metadata, in place of all of the old; None leaves it.
            policies: Its new access policies, in place of all of the old; None leaves them.
            guard: What must hold.

        Returns:
            The share as it now is.

        Raises:
            ShareNotFoundError: There is no such share.
        """
        with self._lock:
            share = self.get(account, name)
            guard.share(share.lease, share.etag, share.modified_at, writes=True)
            share = evolve(
                share,
                quota_gib=share.quota_gib if quota_gib is None else quota_gib,
                metadata=share.metadata if metadata is None else metadata,
                policies=share.policies if policies is None else policies,
            )
            share = self.changed(share)
            with self._store.write() as records:
                records.execute(
                    "UPDATE shares SET quota_gib = ?, metadata = ?, policies = ?, etag = ?, "
                    "modified_at = ? WHERE account = ? AND name = ?",
                    (
                        share.quota_gib,
                        dump_metadata(share.metadata),
                        dump_policies(share.policies),
                        share.etag,
                        iso_timestamp(share.modified_at),
                        account,
                        name,
                    ),
                )
        return share

    def usage(self, account: str, name: str) -> int:
        """Return how much a share holds.

        Args:
            account: The storage account.
            name: The share's name.

        Returns:
            The sum of the sizes of its files, in bytes.

        Raises:
            ShareNotFoundError: There is no such share.
        """
        return tree_size(self.root(account, name))

    def change_lease(self, account: str, name: str, change: Callable[[Lease], Lease]) -> Share:
        """Replace a share's lease; its ETag stays.

        Args:
            account: The storage account.
            name: The share's name.
            change: Makes the new lease of the old one.

        Returns:
            The share as it now is.

        Raises:
            FileServiceError: There is no such share, or the change is refused.
        """
        with self._lock:
            share = self.get(account, name)
            share = evolve(share, lease=change(share.lease))
            with self._store.write() as records:
                records.execute(
                    "UPDATE shares SET lease = ? WHERE account = ? AND name = ?",
                    (share.lease.dump(), account, name),
                )
        return share

    def delete(
        self, account: str, name: str, guard: Guard = FREE, *, with_snapshots: bool = True
    ) -> None:
        """Delete a share with everything in it.

        Args:
            account: The storage account.
            name: The share's name.
            guard: What must hold.
            with_snapshots: Whether it may have snapshots, which go with it.

        Raises:
            FileServiceError: There is no such share, or it has snapshots.
        """
        with self._lock:
            share = self.get(account, name)
            guard.share(share.lease, share.etag, share.modified_at, writes=True)
            with self._store.write() as records:
                if not with_snapshots:
                    _check_no_snapshots(records, account, name)
                records.execute(
                    "DELETE FROM shares WHERE account = ? AND name = ?", (account, name)
                )
            left = self._folders.set_aside(account, name)
        for aside in left:
            remove_folder(aside)

    def discard_account(self, account: str) -> None:
        """Remove the folders of an account that is gone.

        Args:
            account: The storage account.
        """
        # A new account of the name would be recorded after this transaction, and make its folders
        # after that.
        with self._store.write() as records:
            known = records.execute("SELECT 1 FROM accounts WHERE name = ?", (account,)).fetchone()
            left = () if known is not None else self._folders.set_aside_account(account)
        for aside in left:
            remove_folder(aside)

    def finish_deletions(self) -> None:
        """Finish the deletions that an earlier process had begun; drop copies it left half made."""
        self._folders.finish_deletions()

    def _find(self, account: str, name: str) -> Share | None:
        return self._known((account, name))

    def _load(self, key: tuple[str, str]) -> Share | None:
        row = self._store.one("SELECT * FROM shares WHERE account = ? AND name = ?", key)
        return None if row is None else share_of_row(row)

    def changed(self, share: Share) -> Share:
        """Return a share with a new ETag and the present time of change.

        Args:
            share: The share.
        """
        etag = f'"0x{uuid.uuid4().hex[:16].upper()}"'
        return evolve(share, etag=etag, modified_at=self._clock.now())


def _listed(records: sqlite3.Connection, account: str, name: str, stamp: str) -> Share:
    if stamp == ITSELF:
        return share_of_row(
            records.execute(
                "SELECT * FROM shares WHERE account = ? AND name = ?", (account, name)
            ).fetchone()
        )
    return snapshot_of_row(
        records.execute(
            "SELECT * FROM share_snapshots WHERE account = ? AND share = ? AND stamp = ?",
            (account, name, stamp),
        ).fetchone()
    )


def _check_no_snapshots(records: sqlite3.Connection, account: str, name: str) -> None:
    row = records.execute(
        "SELECT count(*) FROM share_snapshots WHERE account = ? AND share = ?", (account, name)
    ).fetchone()
    if row[0]:
        raise FileServiceError(
            ErrorCode.SHARE_HAS_SNAPSHOTS,
            f"The share has {row[0]} snapshots; delete them first, or send "
            "x-ms-delete-snapshots: include.",
        )

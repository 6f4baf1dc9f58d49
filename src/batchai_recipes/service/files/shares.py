"""Shares: directories that clients reach over REST and jobs through the disk."""

import json
import logging
import os
import shutil
import sqlite3
import stat
import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from functools import lru_cache
from pathlib import Path
from typing import Final

from attrs import evolve, frozen

from batchai_recipes.service.clock import Clock, iso_timestamp
from batchai_recipes.service.files.access_policies import (
    AccessPolicy,
    dump_policies,
    load_policies,
)
from batchai_recipes.service.files.addressing import share_name
from batchai_recipes.service.files.errors import (
    EMPTY,
    ErrorCode,
    FileServiceError,
    ShareNotFoundError,
)
from batchai_recipes.service.files.guard import FREE, Guard
from batchai_recipes.service.files.leases import NO_LEASE, Lease
from batchai_recipes.service.files.name_index import NameIndex
from batchai_recipes.service.files.paths import Location
from batchai_recipes.service.files.tree import ShareTree
from batchai_recipes.service.remembered import Remembered
from batchai_recipes.service.state_directory import StateDirectory
from batchai_recipes.service.store import Store

DEFAULT_QUOTA_GIB: Final = 5120
# No share can have this name, since a share's starts with a letter or digit.
_DELETED_PREFIX: Final = ".deleted-"
COPY_PREFIX: Final = ".copy-"
"""What the names of files begin with that are copies not yet complete."""

_logger = logging.getLogger(__name__)


@frozen
class Share:
    """A share.

    Args:
        account: Its storage account.
        name: Its name.
        quota_gib: How much it may hold, in GiB.
        metadata: The user's metadata.
        etag: A quoted text that changes with the share's properties.
        modified_at: When the share's properties last changed.
        lease: The lease on it.
        policies: Its stored access policies.
        created: When it was made, as recorded.
    """

    account: str
    name: str
    quota_gib: int
    metadata: Mapping[str, str]
    etag: str
    modified_at: datetime
    lease: Lease = NO_LEASE
    policies: tuple[AccessPolicy, ...] = ()
    created: str = ""


class Shares:
    """The shares of all accounts.

    Args:
        store: Where they are recorded.
        state: Where their folders are.
        clock: Tells the time of changes.
    """

    def __init__(self, store: Store, state: StateDirectory, clock: Clock) -> None:
        self._store = store
        self._state = state
        self._clock = clock
        self._known = Remembered(store, self._load)
        self._folder = lru_cache(maxsize=256)(state.share)
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
        share = self._changed(
            Share(account, share_name(name), quota_gib, metadata, "", self._clock.now())
        )
        with self._lock:
            if self._find(account, name) is not None:
                raise FileServiceError(
                    ErrorCode.SHARE_ALREADY_EXISTS,
                    f"The storage account {account!r} has a share {name!r} already.",
                )
            folder = self._state.share(account, name)
            self._set_aside(folder)  # what a crash in the midst of a deletion left
            folder.mkdir(parents=True)
            moment = iso_timestamp(share.modified_at)
            with self._store.write() as records:
                records.execute(
                    "INSERT INTO shares (account, name, quota_gib, metadata, etag, created_at, "
                    "modified_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
                    (account, name, quota_gib, _dump(metadata), share.etag, moment, moment),
                )
        return share

    def get(self, account: str, name: str) -> Share:
        """Return a share.

        Args:
            account: The storage account.
            name: The share's name.

        Raises:
            ShareNotFoundError: There is none.
        """
        share = self._find(account, name)
        if share is None:
            raise ShareNotFoundError(account, name)
        return share

    def root(self, account: str, share: str) -> Path:
        """Return the folder that is a share.

        Args:
            account: The storage account.
            share: The share's name.

        Raises:
            ShareNotFoundError: There is no such share.
        """
        self.get(account, share)
        return self._folder(account, share)

    def tree(self, location: Location) -> ShareTree:
        """Return the files and directories of the share that a location is in.

        Args:
            location: The location.

        Raises:
            ShareNotFoundError: There is no such share.
        """
        return ShareTree(self.root(location.account, location.share), self._names)

    def list(self, account: str, *, prefix: str, after: str, limit: int) -> Sequence[Share]:
        """Return shares of an account in the order of their names.

        Args:
            account: The storage account.
            prefix: What the names start with.
            after: The name after which to start.
            limit: How many at most.
        """
        with self._store.read() as records:
            rows = records.execute(
                "SELECT * FROM shares WHERE account = ? AND name > ? "
                "AND substr(name, 1, ?) = ? ORDER BY name LIMIT ?",
                (account, after, len(prefix), prefix, limit),
            ).fetchall()
        return [_share(row) for row in rows]

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
            share = self._changed(share)
            with self._store.write() as records:
                records.execute(
                    "UPDATE shares SET quota_gib = ?, metadata = ?, policies = ?, etag = ?, "
                    "modified_at = ? WHERE account = ? AND name = ?",
                    (
                        share.quota_gib,
                        _dump(share.metadata),
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
        total = 0
        for _, _, files, folder in os.fwalk(self.root(account, name)):
            for file in files:
                try:
                    status = os.stat(file, dir_fd=folder, follow_symlinks=False)
                except FileNotFoundError:  # deleted since it was listed
                    continue
                if stat.S_ISREG(status.st_mode):
                    total += status.st_size
        return total

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

    def delete(self, account: str, name: str, guard: Guard = FREE) -> None:
        """Delete a share with everything in it.

        Args:
            account: The storage account.
            name: The share's name.
            guard: What must hold.

        Raises:
            ShareNotFoundError: There is no such share.
        """
        with self._lock:
            share = self.get(account, name)
            guard.share(share.lease, share.etag, share.modified_at, writes=True)
            with self._store.write() as records:
                records.execute(
                    "DELETE FROM shares WHERE account = ? AND name = ?", (account, name)
                )
            aside = self._set_aside(self._state.share(account, name))
        if aside is not None:
            _remove(aside)

    def finish_deletions(self) -> None:
        """Finish the deletions that an earlier process had begun; drop copies it left half made."""
        for incomplete in self._state.shares.glob(f"*/{COPY_PREFIX}*"):
            incomplete.unlink(missing_ok=True)
        for aside in self._state.shares.glob(f"*/{_DELETED_PREFIX}*"):
            _remove(aside)

    def _find(self, account: str, name: str) -> Share | None:
        return self._known((account, name))

    def _load(self, key: tuple[str, str]) -> Share | None:
        row = self._store.one("SELECT * FROM shares WHERE account = ? AND name = ?", key)
        return None if row is None else _share(row)

    def _changed(self, share: Share) -> Share:
        etag = f'"0x{uuid.uuid4().hex[:16].upper()}"'
        return evolve(share, etag=etag, modified_at=self._clock.now())

    def _set_aside(self, folder: Path) -> Path | None:
        aside = folder.with_name(f"{_DELETED_PREFIX}{uuid.uuid4().hex}")
        try:
            folder.rename(aside)
        except FileNotFoundError:
            return None
        return aside


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    if folder.exists():
        _logger.warning(
            "Part of a deleted share cannot be removed, since a job made it with other rights: %s",
            folder,
        )


def _share(row: sqlite3.Row) -> Share:
    return Share(
        account=row["account"],
        name=row["name"],
        quota_gib=row["quota_gib"],
        metadata=json.loads(row["metadata"]),
        etag=row["etag"],
        modified_at=_moment(row["modified_at"]),
        lease=Lease.load(row["lease"]),
        policies=load_policies(row["policies"]),
        created=row["created_at"],
    )


def _moment(text: str) -> datetime:
    # Python 3.10 reads no fraction of one or two digits with `fromisoformat`.
    form = "%Y-%m-%dT%H:%M:%S.%fZ" if "." in text else "%Y-%m-%dT%H:%M:%SZ"
    return datetime.strptime(text, form).replace(tzinfo=timezone.utc)


def _dump(metadata: Mapping[str, str]) -> str:
    return json.dumps(dict(metadata))

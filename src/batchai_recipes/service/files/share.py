"""A share, or a snapshot of one, as it is recorded."""

import json
import sqlite3
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Final

from attrs import frozen

from batchai_recipes.service.files.access_policies import AccessPolicy, load_policies
from batchai_recipes.service.files.leases import NO_LEASE, Lease

ITSELF: Final = "~"
"""In place of the time of a snapshot; it sorts after all of them."""


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
        snapshot: The time that names it, where it is a snapshot of the share.
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
    snapshot: str = ""

    @property
    def place(self) -> tuple[str, str]:
        """Where it stands in a listing: by name, after its snapshots."""
        return self.name, self.snapshot or ITSELF


def share_of_row(row: sqlite3.Row) -> Share:
    """Read a share of its record."""
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


def snapshot_of_row(row: sqlite3.Row) -> Share:
    """Read a snapshot of its record."""
    return Share(
        account=row["account"],
        name=row["share"],
        quota_gib=row["quota_gib"],
        metadata=json.loads(row["metadata"]),
        etag=row["etag"],
        modified_at=_moment(row["modified_at"]),
        snapshot=row["stamp"],
    )


def _moment(text: str) -> datetime:
    # Python 3.10 reads no fraction of one or two digits with `fromisoformat`.
    form = "%Y-%m-%dT%H:%M:%S.%fZ" if "." in text else "%Y-%m-%dT%H:%M:%SZ"
    return datetime.strptime(text, form).replace(tzinfo=timezone.utc)


def dump_metadata(metadata: Mapping[str, str]) -> str:
    """Return metadata in the form in which it is recorded.

    Args:
        metadata: The metadata.
    """
    return json.dumps(dict(metadata))

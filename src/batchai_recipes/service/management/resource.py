"""Something that has a resource id, as it is recorded and shown."""

import secrets
import sqlite3
from collections.abc import Mapping
from datetime import datetime, timezone
from email.utils import format_datetime
from functools import lru_cache
from typing import Any

from attrs import evolve, frozen

from batchai_recipes.service.clock import iso_timestamp
from batchai_recipes.service.management.documents import read_record
from batchai_recipes.service.management.errors import being_deleted
from batchai_recipes.service.management.kinds import KINDS, Kind
from batchai_recipes.service.management.preconditions import Preconditions

DELETING = "deleting"
SUCCEEDED = "succeeded"
_NO_TAGS = (None, "{}")


@frozen
class Resource:
    """One resource as it is recorded; times are ISO 8601 text.

    Args:
        kind: What it is.
        id: Its id, as it was created.
        name: Its name, as it was created.
        provisioning_state: 'succeeded', or 'deleting' while it is on its way out.
        provisioned_at: When it came into that state.
        created_at: When it was created.
        modified_at: When a client last changed it.
        etag: A value that is new after each change by a client.
        location: The Azure region, where the kind has one.
        tags: Its tags.
        properties: Its properties without those that say its state; never a secret.
    """

    kind: Kind
    id: str
    name: str
    provisioning_state: str
    provisioned_at: str
    created_at: str
    modified_at: str
    etag: str
    location: str | None
    tags: Mapping[str, str]
    properties: Mapping[str, Any]

    @property
    def key(self) -> str:
        """Its record key: the id in lower case."""
        return self.id.lower()

    @property
    def headers(self) -> dict[str, str]:
        """The headers of an answer that shows it."""
        return {"ETag": self.etag, "Last-Modified": http_date(self.modified_at)}

    def provisioning(self) -> dict[str, str]:
        """Return the properties that every Batch AI resource shows of its provisioning."""
        return {
            "provisioningState": self.provisioning_state,
            "provisioningStateTransitionTime": self.provisioned_at,
            "creationTime": self.created_at,
        }

    def document(self, properties: Mapping[str, Any]) -> dict[str, Any]:
        """Return what a GET shows.

        Args:
            properties: Its properties, state included.
        """
        document: dict[str, Any] = {
            "id": self.id,
            "name": self.name,
            "type": self.kind.arm_type,
        }
        if self.location is not None:
            document["location"] = self.location
        if self.tags:
            document["tags"] = dict(self.tags)
        return {**document, "properties": dict(properties)}

    def check_changeable(self, preconditions: Preconditions) -> None:
        """Refuse to change a resource that is being deleted or not as the caller thinks.

        Args:
            preconditions: What the caller says of it.

        Raises:
            ManagementError: It is being deleted (409), or a condition is not met (412).
        """
        preconditions.check(self.etag)
        self.check_not_deleting()

    def check_not_deleting(self) -> None:
        """Refuse to go on with a resource that is being deleted.

        Raises:
            ManagementError: It is.
        """
        if self.provisioning_state == DELETING:
            raise being_deleted(self.kind.label, self.kind.noun, self.name)

    def changed(
        self,
        now: datetime,
        *,
        tags: Mapping[str, str] | None = None,
        properties: Mapping[str, Any] | None = None,
    ) -> "Resource":
        """Return the resource after a change by a client, with a new etag.

        Args:
            now: The present time.
            tags: The new tags, or None to keep them.
            properties: The new properties, or None to keep them.
        """
        return evolve(
            self,
            tags=self.tags if tags is None else tags,
            properties=self.properties if properties is None else properties,
            modified_at=iso_timestamp(now),
            etag=_new_etag(),
        )


def new_resource(
    kind: Kind,
    resource_id: str,
    name: str,
    now: datetime,
    *,
    location: str | None = None,
    tags: Mapping[str, str] | None = None,
    properties: Mapping[str, Any] | None = None,
) -> Resource:
    """Return a resource that is yet to be recorded.

    Args:
        kind: What it is.
        resource_id: Its id.
        name: Its name.
        now: The present time.
        location: The Azure region, where the kind has one.
        tags: Its tags.
        properties: Its properties; never a secret.
    """
    timestamp = iso_timestamp(now)
    return Resource(
        kind=kind,
        id=resource_id,
        name=name,
        provisioning_state=SUCCEEDED,
        provisioned_at=timestamp,
        created_at=timestamp,
        modified_at=timestamp,
        etag=_new_etag(),
        location=location,
        tags=tags or {},
        properties=properties or {},
    )


def resource_of(row: sqlite3.Row) -> Resource:
    """Return the resource that a row records.

    Args:
        row: A row of the table of resources, perhaps joined with others.
    """
    return Resource(
        kind=KINDS[row["kind"]],
        id=row["id"],
        name=row["name"],
        provisioning_state=row["provisioning_state"],
        provisioned_at=row["provisioned_at"],
        created_at=row["created_at"],
        modified_at=row["modified_at"],
        etag=row["etag"],
        location=row["location"],
        tags={} if row["tags"] in _NO_TAGS else read_record(row["tags"]),
        properties=read_record(row["properties"]),
    )


@lru_cache(maxsize=1024)  # clients that wait for a job ask for it over and over
def http_date(timestamp: str) -> str:
    """Return, as headers write it, a time that ``iso_timestamp`` wrote.

    Args:
        timestamp: The text.

    Example:
        >>> http_date("2018-06-06T20:44:54.74Z")
        'Wed, 06 Jun 2018 20:44:54 GMT'
    """
    whole_seconds = datetime.fromisoformat(timestamp[: len("2018-06-06T20:44:54")])
    return format_datetime(whole_seconds.replace(tzinfo=timezone.utc), usegmt=True)


def _new_etag() -> str:
    return f'"0x{secrets.token_hex(8).upper()}"'

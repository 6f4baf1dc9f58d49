"""The records of everything that has a resource id."""

import json
import secrets
import sqlite3
from collections.abc import Mapping
from datetime import datetime, timezone
from email.utils import format_datetime
from functools import lru_cache
from http import HTTPStatus
from typing import Any

from attrs import evolve, frozen

from batchai_recipes.service.clock import iso_timestamp
from batchai_recipes.service.management.documents import read_record
from batchai_recipes.service.management.errors import (
    ManagementError,
    being_deleted,
    suggestion,
)
from batchai_recipes.service.management.kinds import KINDS, RESOURCE_GROUP, Kind
from batchai_recipes.service.management.preconditions import Preconditions

DELETING = "deleting"
SUCCEEDED = "succeeded"
_BESIDE = 16
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


def find(records: sqlite3.Connection, key: str) -> Resource | None:
    """Return a resource, or None where there is none.

    Args:
        records: The records.
        key: Its record key.
    """
    row = records.execute("SELECT * FROM resources WHERE key = ?", (key,)).fetchone()
    return None if row is None else resource_of(row)


def require(records: sqlite3.Connection, kind: Kind, names: Mapping[str, str]) -> Resource:
    """Return a resource that a request names.

    Args:
        records: The records.
        kind: What it is.
        names: The path parameters of the request.

    Raises:
        ManagementError: It, or what it should lie in, is not there (404); the outermost missing
            one is named, and beside it the nearest name that there is.
    """
    # What is there lies in something that is there.
    found = find(records, kind.key(names))
    if found is not None:
        return found
    parent: Resource | None = None
    for step in kind.lineage:
        around = find(records, step.key(names))
        if around is None:
            raise _not_found(records, step, names, parent)
        parent = around
    raise AssertionError(kind)  # pragma: no cover - the last of its lineage is not there


def require_parent(records: sqlite3.Connection, kind: Kind, names: Mapping[str, str]) -> Resource:
    """Return the resource in which a request makes another, which must not be on its way out.

    Args:
        records: The records.
        kind: What the request makes.
        names: The path parameters of the request.

    Raises:
        ManagementError: It is not there (404) or being deleted (409).
    """
    if kind.parent is None:
        raise AssertionError(kind)
    parent = require(records, kind.parent, names)
    parent.check_not_deleting()
    return parent


def check_name(kind: Kind, name: str) -> None:
    """Refuse a name that a resource of this kind cannot have.

    Args:
        kind: What is to be made.
        name: How it is to be called.

    Raises:
        ManagementError: The name does not follow the rule (400).
    """
    if kind.name_pattern.fullmatch(name) is None:
        raise ManagementError(
            HTTPStatus.BAD_REQUEST,
            "InvalidResourceName",
            f"The {kind.noun} name '{name[:200]}' is invalid. It must be {kind.name_rule}.",
            target=kind.parameter,
        )


def children(
    records: sqlite3.Connection, kind: Kind, parent_key: str | None, after: str, limit: int
) -> list[Resource]:
    """Return resources of one kind in the order of their keys.

    Args:
        records: The records.
        kind: What they are.
        parent_key: What they lie in; None for all of the kind.
        after: The key after which to begin, or ''.
        limit: How many at most.
    """
    place, values = ("", ()) if parent_key is None else ("parent_key = ? AND ", (parent_key,))
    rows = records.execute(
        f"SELECT * FROM resources WHERE {place}kind = ? AND key > ? ORDER BY key LIMIT ?",  # noqa: S608 - ours
        (*values, kind.name, after, limit),
    )
    return [resource_of(row) for row in rows]


def add(
    records: sqlite3.Connection,
    resource: Resource,
    parent: Resource | None,
    hidden: Mapping[str, Any] | None = None,
) -> None:
    """Record a new resource.

    Args:
        records: The records, open for writing.
        resource: The resource.
        parent: What it lies in.
        hidden: Its secrets, which no answer shows.
    """
    records.execute(
        "INSERT INTO resources (key, parent_key, kind, id, name, location, tags, properties, "
        "secrets, provisioning_state, provisioned_at, created_at, modified_at, etag) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            resource.key,
            parent.key if parent else None,
            resource.kind.name,
            resource.id,
            resource.name,
            resource.location,
            json.dumps(dict(resource.tags)),
            json.dumps(dict(resource.properties)),
            json.dumps(dict(hidden or {})),
            resource.provisioning_state,
            resource.provisioned_at,
            resource.created_at,
            resource.modified_at,
            resource.etag,
        ),
    )


def save(records: sqlite3.Connection, resource: Resource) -> None:
    """Record what :meth:`Resource.changed` changed.

    Args:
        records: The records, open for writing.
        resource: The changed resource.
    """
    records.execute(
        "UPDATE resources SET tags = ?, properties = ?, modified_at = ?, etag = ? WHERE key = ?",
        (
            json.dumps(dict(resource.tags)),
            json.dumps(dict(resource.properties)),
            resource.modified_at,
            resource.etag,
            resource.key,
        ),
    )


def secrets_of(records: sqlite3.Connection, key: str) -> dict[str, Any]:
    """Return the secrets of a resource, to compare them with those of a repeated request.

    Args:
        records: The records.
        key: The resource's record key.
    """
    row = records.execute("SELECT secrets FROM resources WHERE key = ?", (key,)).fetchone()
    hidden: dict[str, Any] = json.loads(row["secrets"])
    return hidden


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


def _not_found(
    records: sqlite3.Connection, kind: Kind, names: Mapping[str, str], parent: Resource | None
) -> ManagementError:
    name = names[kind.parameter]
    near = beside(records, kind, kind.key(names), parent.key if parent else None)
    nearest = suggestion(name, [row["name"] for row in near])
    if kind is RESOURCE_GROUP:
        message = f"Resource group '{name}' could not be found"
        return ManagementError(
            HTTPStatus.NOT_FOUND, "ResourceGroupNotFound", f"{message}{nearest or '.'}"
        )
    return ManagementError(
        HTTPStatus.NOT_FOUND,
        f"{kind.label}NotFound",
        f"The specified {kind.noun} {name} is not found{nearest}",
    )


def beside(
    records: sqlite3.Connection, kind: Kind, key: str, parent_key: str | None = None
) -> list[sqlite3.Row]:
    """Return id and name of the resources next to a key: among these few a typo is soon found.

    Args:
        records: The records.
        kind: What they are.
        key: A record key, of a resource that is not there.
        parent_key: What they lie in; None for all of the kind.
    """
    place, values = ("", ()) if parent_key is None else ("parent_key = ? AND ", (parent_key,))
    return [
        row
        for condition in ("key < ? ORDER BY key DESC", "key > ? ORDER BY key")
        for row in records.execute(
            f"SELECT id, name FROM resources WHERE {place}kind = ? AND {condition} LIMIT ?",  # noqa: S608 - ours
            (*values, kind.name, key, _BESIDE),
        )
    ]


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


def _new_etag() -> str:
    return f'"0x{secrets.token_hex(8).upper()}"'

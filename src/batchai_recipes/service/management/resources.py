"""The records of everything that has a resource id."""

import json
import sqlite3
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from batchai_recipes.service.management.errors import ManagementError, suggestion
from batchai_recipes.service.management.kinds import RESOURCE_GROUP, Kind
from batchai_recipes.service.management.resource import Resource, resource_of

_BESIDE = 16


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

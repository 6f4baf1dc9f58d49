"""Deleting a resource with everything in it: the same for every kind."""

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from http import HTTPStatus
from typing import Final

from starlette.responses import Response

from batchai_recipes.service.clock import iso_timestamp
from batchai_recipes.service.management import operations, resources
from batchai_recipes.service.management.calls import Call
from batchai_recipes.service.management.errors import ManagementError
from batchai_recipes.service.management.kinds import CLUSTER, JOB, Kind
from batchai_recipes.service.management.operations import Operation
from batchai_recipes.service.management.plane import ManagementPlane
from batchai_recipes.service.management.resource import DELETING, Resource

_RUNNING: Final = (CLUSTER, JOB)

Answer = Callable[[ManagementPlane, Call, Operation], Response]
"""Says that an operation has begun."""


def delete(
    plane: ManagementPlane,
    call: Call,
    kind: Kind,
    answer: Answer = operations.accepted,
    *,
    meanwhile: Callable[[], None] | None = None,
) -> Response:
    """Begin to delete a resource; what is gone already is deleted well enough.

    Args:
        plane: The parts of the service.
        call: The request.
        kind: What it deletes.
        answer: Says that it has begun.
        meanwhile: Does what is to be done before the scheduler is woken and the records go.

    Raises:
        ManagementError: A job outside of it still needs a cluster in it (409), or it is not as the
            caller thinks (412).
    """
    with plane.store.write() as records:
        resource = resources.find(records, kind.key(call.names))
        call.preconditions.check(None if resource is None else resource.etag)
        if resource is None:
            return Response(status_code=HTTPStatus.NO_CONTENT)
        operation = begin(records, plane, resource)
    if meanwhile is not None:
        meanwhile()
    plane.wake()
    return answer(plane, call, operation)


def begin(records: sqlite3.Connection, plane: ManagementPlane, resource: Resource) -> Operation:
    """Record that a resource is to be deleted; whoever commits that wakes the scheduler.

    Args:
        records: The records, open for writing.
        plane: The parts of the service.
        resource: The resource.

    Raises:
        ManagementError: A job outside of it still needs a cluster in it (409).
    """
    if _is_empty(records, resource):
        operation = operations.done(records, plane, resource, "delete")
        records.execute("DELETE FROM resources WHERE key = ?", (resource.key,))
        return operation
    _check_not_needed(records, resource)
    operation = operations.begin(records, plane, resource, "delete")
    _mark_deleting(records, resource, plane.now())
    return operation


def _is_empty(records: sqlite3.Connection, resource: Resource) -> bool:
    """Tell whether nothing lies in a resource or runs behind it, for the scheduler to end first."""
    if resource.kind in _RUNNING or resource.provisioning_state == DELETING:
        return False
    children = records.execute("SELECT 1 FROM resources WHERE parent_key = ?", (resource.key,))
    return children.fetchone() is None


def _mark_deleting(records: sqlite3.Connection, resource: Resource, now: datetime) -> None:
    """Mark a resource and everything in it for deletion; the scheduler does the rest.

    Args:
        records: The records, open for writing.
        resource: The resource.
        now: The present time.
    """
    records.executemany(
        "UPDATE resources SET provisioning_state = ?, provisioned_at = ? "
        "WHERE key = ? AND provisioning_state != ?",
        [(DELETING, iso_timestamp(now), key, DELETING) for key in _within(records, resource.key)],
    )


def _check_not_needed(records: sqlite3.Connection, resource: Resource) -> None:
    """Refuse to delete clusters that jobs elsewhere still need.

    Args:
        records: The records.
        resource: What is to be deleted with everything in it.

    Raises:
        ManagementError: A queued or running job outside of it needs a cluster in it (409).
    """
    doomed = set(_within(records, resource.key))
    needing = [
        row["id"]
        for cluster_key in _clusters(records, doomed)
        for row in records.execute(
            "SELECT resources.id, jobs.key FROM jobs "
            "JOIN resources ON resources.key = jobs.key "
            "WHERE jobs.execution_state IN ('queued', 'running') AND jobs.cluster_key = ? "
            "AND jobs.termination_requested_at IS NULL "
            "AND resources.provisioning_state != ? ORDER BY jobs.sequence",
            (cluster_key, DELETING),
        )
        if row["key"] not in doomed
    ]
    if needing:
        more = f" and {len(needing) - 1} more" if len(needing) > 1 else ""
        raise ManagementError(
            HTTPStatus.CONFLICT,
            f"{resource.kind.label}InUse",
            f"The {resource.kind.noun} {resource.name} cannot be deleted: the queued or running "
            f"job {needing[0]}{more} needs it. Terminate or delete the job first.",
        )


def _clusters(records: sqlite3.Connection, keys: Iterable[str]) -> list[str]:
    """Return those of the keys that are clusters'."""
    return [
        key
        for key in keys
        if records.execute("SELECT 1 FROM clusters WHERE key = ?", (key,)).fetchone() is not None
    ]


def _within(records: sqlite3.Connection, key: str) -> Iterator[str]:
    """Return the keys of a resource and of everything in it."""
    rows = records.execute(
        "WITH RECURSIVE inside (key) AS (SELECT ? UNION ALL SELECT resources.key FROM resources "
        "JOIN inside ON resources.parent_key = inside.key) SELECT key FROM inside",
        (key,),
    ).fetchall()
    return (row["key"] for row in rows)

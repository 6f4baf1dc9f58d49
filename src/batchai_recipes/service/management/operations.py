"""Long-running operations: what a 202 promises, and how its client learns of the end.

Source: protocol notes 2 to 4 of the recordings of the real service, and Azure Resource Manager's
asynchronous-operations contract.
"""

import json
import sqlite3
import uuid
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any, Final, Literal

from attrs import frozen
from starlette.responses import Response

from batchai_recipes.service.clock import iso_timestamp
from batchai_recipes.service.management.calls import Call, Endpoint
from batchai_recipes.service.management.documents import JSONResponse
from batchai_recipes.service.management.errors import ManagementError
from batchai_recipes.service.management.kinds import names_of
from batchai_recipes.service.management.plane import ManagementPlane
from batchai_recipes.service.management.resource import Resource
from batchai_recipes.service.store import Store

Action = Literal["create", "delete", "terminate"]
"""What an operation does to its resource."""

OPERATIONS_KEPT: Final = timedelta(days=7)
"""How long a client may still ask for an operation that has ended."""

POLL_SECONDS: Final = 1.0
"""How long a poll waits for the end of its operation, so that most clients ask only once."""

# Whole seconds, since older clients read only those; azure-core takes 0 for "not given".
_RETRY_AFTER: Final = {"Retry-After": "1"}
_FORGOTTEN_AT_ONCE: Final = 8
_IN_PROGRESS: Final = "InProgress"
_SUCCEEDED: Final = "Succeeded"
_BATCHAI: Final = "/subscriptions/{subscriptionId}/providers/Microsoft.BatchAI/locations/{location}"
_RESOURCES: Final = "/subscriptions/{subscriptionId}/operationresults/{operationId}"


@frozen
class Operation:
    """An operation that has begun.

    Args:
        id: Its id.
        location: The region in which clients ask for it.
    """

    id: str
    location: str


def begin(
    records: sqlite3.Connection, plane: ManagementPlane, resource: Resource, action: Action
) -> Operation:
    """Record that an operation has begun, which the scheduler will end.

    A second request for what is already under way joins the first.

    Args:
        records: The records, open for writing.
        plane: The parts of the service.
        resource: What it is about.
        action: What it does.

    Returns:
        The operation.
    """
    row = records.execute(
        "SELECT id, location FROM operations WHERE resource_key = ? AND action = ? AND status = ?",
        (resource.key, action, _IN_PROGRESS),
    ).fetchone()
    if row is not None:
        return Operation(row["id"], row["location"])
    return _record(records, plane, resource, action, ended=False)


def done(
    records: sqlite3.Connection, plane: ManagementPlane, resource: Resource, action: Action
) -> Operation:
    """Record an operation of which nothing is left to do once the records say so.

    Args:
        records: The records, open for writing.
        plane: The parts of the service.
        resource: What it is about.
        action: What it does.

    Returns:
        The operation.
    """
    return _record(records, plane, resource, action, ended=True)


def _record(
    records: sqlite3.Connection,
    plane: ManagementPlane,
    resource: Resource,
    action: Action,
    *,
    ended: bool,
) -> Operation:
    now = plane.now()
    # Each that begins takes old ones away, so that they do not grow more and more. The first rows
    # are the oldest.
    records.execute(
        "DELETE FROM operations WHERE rowid IN (SELECT rowid FROM operations ORDER BY rowid "
        "LIMIT ?) AND ended_at < ?",
        (_FORGOTTEN_AT_ONCE, iso_timestamp(now - OPERATIONS_KEPT)),
    )
    operation = Operation(str(uuid.uuid4()), _location(records, resource))
    records.execute(
        "INSERT INTO operations (id, subscription, location, resource_key, resource_id, action, "
        "status, started_at, ended_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            operation.id,
            plane.subscription_id,
            operation.location,
            resource.key,
            resource.id,
            action,
            _SUCCEEDED if ended else _IN_PROGRESS,
            iso_timestamp(now),
            iso_timestamp(now) if ended else None,
        ),
    )
    return operation


def accepted(plane: ManagementPlane, call: Call, operation: Operation) -> Response:
    """Answer that an operation of Batch AI has begun, and where to ask for its end.

    Args:
        plane: The parts of the service.
        call: The request that began it.
        operation: The operation.
    """
    place = _BATCHAI.format(subscriptionId=plane.subscription_id, location=operation.location)
    base = plane.base + place
    version = f"api-version={call.query['api-version']}"
    return Response(
        status_code=HTTPStatus.ACCEPTED,
        headers={
            "Azure-AsyncOperation": f"{base}/operationresults/{operation.id}?{version}",
            # The two names look swapped; that is what the real service sent.
            "Location": f"{base}/operationstatuses/{operation.id}?{version}",
            **_RETRY_AFTER,
        },
    )


def accepted_by_location(plane: ManagementPlane, call: Call, operation: Operation) -> Response:
    """Answer as Azure Resource Manager does: ask ``Location`` until it says 200.

    Args:
        plane: The parts of the service.
        call: The request that began it, or that asks for it.
        operation: The operation.
    """
    path = _RESOURCES.format(subscriptionId=plane.subscription_id, operationId=operation.id)
    url = f"{plane.base}{path}?api-version={call.query['api-version']}"
    return Response(status_code=HTTPStatus.ACCEPTED, headers={"Location": url, **_RETRY_AFTER})


def poll(plane: ManagementPlane, call: Call) -> Response:
    """Answer how an operation of Batch AI stands, always with 200."""
    with plane.store.read() as records:
        row = _operation(records, call.names["operationId"])
    names = names_of(row["resource_id"])
    document: dict[str, Any] = {
        "id": plane.base + call.path,
        "name": row["id"],
        "status": row["status"],
        "startTime": row["started_at"],
    }
    if row["status"] == _IN_PROGRESS:
        return JSONResponse(document, headers=_RETRY_AFTER)
    document["endTime"] = row["ended_at"]
    document["properties"] = {"resourceId": "$".join(names)}
    if row["error"]:
        document["error"] = json.loads(row["error"])
    return JSONResponse(document)


def poll_by_location(plane: ManagementPlane, call: Call) -> Response:
    """Answer 202 while an operation of the resources API is under way, 200 after it."""
    with plane.store.read() as records:
        row = _operation(records, call.names["operationId"])
    if row["status"] == _IN_PROGRESS:
        return accepted_by_location(plane, call, Operation(row["id"], row["location"]))
    if row["error"]:
        error = json.loads(row["error"])
        raise ManagementError(HTTPStatus.CONFLICT, error["code"], error["message"])
    return Response(status_code=HTTPStatus.OK)


def forget_ended(store: Store, *, before: datetime | None = None) -> None:
    """Delete the records of operations that have ended.

    Args:
        store: The records.
        before: Only those that ended before this time; None for all, when nobody can ask any more.
    """
    condition, values = ("", ()) if before is None else (" AND ended_at < ?", (before,))
    with store.write() as records:
        records.execute(
            f"DELETE FROM operations WHERE ended_at IS NOT NULL{condition}",  # noqa: S608 - ours
            tuple(iso_timestamp(value) for value in values),
        )


def _operation(records: sqlite3.Connection, operation_id: str) -> sqlite3.Row:
    row: sqlite3.Row | None = records.execute(
        "SELECT * FROM operations WHERE id = ?", (operation_id.lower(),)
    ).fetchone()
    if row is None:
        raise ManagementError(
            HTTPStatus.NOT_FOUND,
            "OperationNotFound",
            f"The operation {operation_id[:100]} is not found. Use the address of the answer "
            "that began it.",
        )
    return row


def _location(records: sqlite3.Connection, resource: Resource) -> str:
    """Return the location of a resource, or of the nearest one around it that has one."""
    row = records.execute(
        "WITH RECURSIVE around (key, parent_key, location, depth) AS ("
        "SELECT key, parent_key, location, 0 FROM resources WHERE key = ? "
        "UNION ALL SELECT resources.key, resources.parent_key, resources.location, depth + 1 "
        "FROM resources JOIN around ON resources.key = around.parent_key) "
        "SELECT location FROM around WHERE location IS NOT NULL ORDER BY depth LIMIT 1",
        (resource.key,),
    ).fetchone()
    return str(row["location"])


ROUTES: Final = (
    Endpoint("GET", _BATCHAI + "/operationresults/{operationId}", poll, quick=True, waits=True),
    Endpoint("GET", _BATCHAI + "/operationstatuses/{operationId}", poll, quick=True, waits=True),
    Endpoint("GET", _RESOURCES, poll_by_location, api="resources", quick=True, waits=True),
)
"""The endpoints that say how an operation stands."""

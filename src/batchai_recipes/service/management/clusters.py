"""Clusters: the nodes that jobs run on."""

import json
import sqlite3
import uuid
from http import HTTPStatus
from typing import Any, Final

from starlette.responses import Response

from batchai_recipes.service.clock import iso_timestamp
from batchai_recipes.service.management import cluster_properties, operations, resources
from batchai_recipes.service.management.bodies import read_body
from batchai_recipes.service.management.calls import Call, Endpoint
from batchai_recipes.service.management.deletion import delete
from batchai_recipes.service.management.documents import JSONResponse
from batchai_recipes.service.management.errors import ManagementError, suggestion
from batchai_recipes.service.management.kinds import CLUSTER, WORKSPACE, names_of
from batchai_recipes.service.management.mount_volumes import check_file_servers
from batchai_recipes.service.management.plane import ManagementPlane
from batchai_recipes.service.management.remote_login import remote_login
from batchai_recipes.service.management.resource import Resource, new_resource
from batchai_recipes.service.management.shapes import Property, Structure, Text
from batchai_recipes.service.scheduling.eviction import evict

_NODE_STATES: Final = ("running", "idle", "unusable", "preparing", "leaving")


def begin_create(plane: ManagementPlane, call: Call) -> Response:
    """Begin to make a cluster (202); show the one that is there if it is the same (200)."""
    name = call.names[CLUSTER.parameter]
    resources.check_name(CLUSTER, name)
    requested = read_body(cluster_properties.CREATE, call.document)["properties"]
    with plane.store.write() as records:
        workspace = resources.require_parent(records, CLUSTER, call.names)
        existing = resources.find(records, CLUSTER.key(call.names))
        if existing is not None:
            existing.check_changeable(call.preconditions)
            _check_same(records, existing, requested)
            return _show(records, existing)
        call.preconditions.check(None)
        volumes = requested.get("nodeSetup", {}).get("mountVolumes", {})
        check_file_servers(records, volumes, "properties.nodeSetup.mountVolumes")
        cluster_properties.warn_of_vm_size(requested)
        uid = uuid.uuid4().hex
        cluster_id = CLUSTER.child_id(workspace.id, name)
        cluster = new_resource(
            CLUSTER,
            cluster_id,
            name,
            plane.now(),
            properties=cluster_properties.shown(requested, _path_segment(cluster_id, uid)),
        )
        resources.add(records, cluster, workspace, cluster_properties.hidden(requested))
        target = cluster_properties.initial_nodes(requested["scaleSettings"])
        records.execute(
            "INSERT INTO clusters (key, uid, target_nodes, allocation_state, allocation_state_at) "
            "VALUES (?, ?, ?, ?, ?)",
            (cluster.key, uid, target, "resizing" if target else "steady", cluster.created_at),
        )
        operation = operations.done(records, plane, cluster, "create")
    plane.wake()
    return operations.accepted(plane, call, operation)


def update(plane: ManagementPlane, call: Call) -> Response:
    """Scale a cluster; the answer shows the allocation state as it was before."""
    scale = read_body(cluster_properties.UPDATE, call.document)["properties"]["scaleSettings"]
    with plane.store.write() as records:
        cluster = resources.require(records, CLUSTER, call.names)
        cluster.check_changeable(call.preconditions)
        before = _state(records, cluster)
        cluster = cluster.changed(
            plane.now(), properties={**cluster.properties, "scaleSettings": scale}
        )
        resources.save(records, cluster)
        _scale(records, plane, cluster, scale)
    plane.wake()
    return JSONResponse(_document(cluster, before), headers=cluster.headers)


def get(plane: ManagementPlane, call: Call) -> Response:
    """Show a cluster."""
    with plane.store.read() as records:
        return _show(records, resources.require(records, CLUSTER, call.names))


def list_by_workspace(plane: ManagementPlane, call: Call) -> Response:
    """List the clusters of a workspace."""
    size = call.page_size()
    with plane.store.read() as records:
        workspace = resources.require(records, WORKSPACE, call.names)
        found = resources.children(records, CLUSTER, workspace.key, call.skipped_to(), size + 1)
        entries = [(one.key, _document(one, _state(records, one))) for one in found]
    return call.page(plane, entries, size)


def begin_delete(plane: ManagementPlane, call: Call) -> Response:
    """Begin to delete a cluster, unless a queued or running job needs it."""
    return delete(plane, call, CLUSTER)


def list_remote_login_information(plane: ManagementPlane, call: Call) -> Response:
    """List the nodes with the address at which their machine, which is this one, may be reached."""
    with plane.store.read() as records:
        cluster = resources.require(records, CLUSTER, call.names)
        rows = records.execute(
            "SELECT id FROM nodes WHERE cluster_key = ? ORDER BY rowid", (cluster.key,)
        ).fetchall()
    return JSONResponse({"value": [remote_login(plane, row["id"]) for row in rows]})


def simulate_eviction(plane: ManagementPlane, call: Call) -> Response:
    """Take a low-priority node away, as a cloud does when it needs it for others (204).

    Not in Batch AI's contract: Azure's scale sets have it under this name, for the same purpose.
    """
    wanted = read_body(_EVICTION, call.document or {}).get("nodeId")
    with plane.store.write() as records:
        cluster = resources.require(records, CLUSTER, call.names)
        cluster.check_not_deleting()
        if cluster.properties["vmPriority"] != "lowpriority":
            raise ManagementError(
                HTTPStatus.CONFLICT,
                "ClusterNotLowPriority",
                f"The nodes of the cluster {cluster.name} are dedicated and never preempted. "
                "Create a cluster with the vmPriority lowpriority.",
            )
        evict(records, _evicted(records, cluster, wanted), iso_timestamp(plane.now()))
    plane.wake()
    return Response(status_code=HTTPStatus.NO_CONTENT)


def _evicted(records: sqlite3.Connection, cluster: Resource, wanted: str | None) -> str:
    """Return the node that a request names, or else one, if possible one that runs a job."""
    rows = records.execute(
        "SELECT id FROM nodes WHERE cluster_key = ? AND state != 'leaving' "
        "ORDER BY job_key IS NULL, rowid",
        (cluster.key,),
    ).fetchall()
    nodes = [str(row["id"]) for row in rows]
    if wanted in nodes:
        return wanted
    if wanted is None and nodes:
        return nodes[0]
    message = f"The cluster {cluster.name} has no node that could be preempted."
    if wanted is not None:
        message = f"The cluster {cluster.name} has no node {wanted}{suggestion(wanted, nodes)}"
    raise ManagementError(HTTPStatus.NOT_FOUND, "NodeNotFound", message, target="nodeId")


def _check_same(records: sqlite3.Connection, cluster: Resource, requested: dict[str, Any]) -> None:
    """Refuse a request that asks for a cluster other than the one that is there."""
    uid = records.execute("SELECT uid FROM clusters WHERE key = ?", (cluster.key,)).fetchone()[0]
    asked = cluster_properties.shown(requested, _path_segment(cluster.id, uid))
    secrets = resources.secrets_of(records, cluster.key)
    if asked != cluster.properties or cluster_properties.hidden(requested) != secrets:
        raise ManagementError(
            HTTPStatus.CONFLICT,
            "ClusterAlreadyExists",
            f"The cluster {cluster.name} already exists with other properties. Scale it with "
            "PATCH, or delete it and create it anew.",
        )


def _path_segment(cluster_id: str, uid: str) -> str:
    subscription, group, workspace, cluster = names_of(cluster_id)
    return f"{subscription}/{group}/workspaces/{workspace}/clusters/{cluster}/{uid}"


def _scale(
    records: sqlite3.Connection,
    plane: ManagementPlane,
    cluster: Resource,
    scale: dict[str, Any],
) -> None:
    row = records.execute(
        "SELECT target_nodes FROM clusters WHERE key = ?", (cluster.key,)
    ).fetchone()
    target = row["target_nodes"]
    if "manual" in scale:
        target = scale["manual"]["targetNodeCount"]
    else:
        # The initial count is for creation only; afterwards the present size is kept in bounds.
        bounds = scale["autoScale"]
        target = min(max(target, bounds["minimumNodeCount"]), bounds["maximumNodeCount"])
    if target != row["target_nodes"]:
        records.execute(
            "UPDATE clusters SET target_nodes = ?, allocation_state = 'resizing', "
            "allocation_state_at = ? WHERE key = ?",
            (target, iso_timestamp(plane.now()), cluster.key),
        )


def _state(records: sqlite3.Connection, cluster: Resource) -> dict[str, Any]:
    """Return the properties that say what the scheduler has made of a cluster."""
    row = records.execute("SELECT * FROM clusters WHERE key = ?", (cluster.key,)).fetchone()
    counted = records.execute(
        "SELECT state, COUNT(*) FROM nodes WHERE cluster_key = ? GROUP BY state", (cluster.key,)
    )
    nodes = {state: int(count) for state, count in counted}
    state: dict[str, Any] = {
        "allocationState": row["allocation_state"],
        "allocationStateTransitionTime": row["allocation_state_at"],
        "currentNodeCount": sum(nodes.values()),
        "nodeStateCounts": {f"{name}NodeCount": nodes.get(name, 0) for name in _NODE_STATES},
    }
    errors = json.loads(row["errors"])
    return {**state, "errors": errors} if errors else state


def _document(cluster: Resource, state: dict[str, Any]) -> dict[str, Any]:
    return cluster.document({**cluster.provisioning(), **state, **cluster.properties})


def _show(records: sqlite3.Connection, cluster: Resource) -> Response:
    document = _document(cluster, _state(records, cluster))
    return JSONResponse(document, headers=cluster.headers)


_EVICTION: Final = Structure({"nodeId": Property(Text(filled=True))})
_REMOTE_LOGIN: Final = CLUSTER.path + "/listRemoteLoginInformation"

ROUTES: Final = (
    Endpoint("GET", WORKSPACE.path + "/clusters", list_by_workspace),
    Endpoint("PUT", CLUSTER.path, begin_create),
    Endpoint("PATCH", CLUSTER.path, update),
    Endpoint("GET", CLUSTER.path, get, quick=True),
    Endpoint("DELETE", CLUSTER.path, begin_delete),
    Endpoint("POST", _REMOTE_LOGIN, list_remote_login_information, quick=True),
    Endpoint("POST", CLUSTER.path + "/simulateEviction", simulate_eviction),
)
"""The endpoints of clusters."""

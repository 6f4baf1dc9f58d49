"""Nodes of clusters: making them, setting them up, giving them up."""

import json
import logging
import sqlite3
import uuid
from collections.abc import Mapping
from typing import Any, cast

from attrs import field, frozen

from batchai_recipes.service.batchai_error import BatchAIError
from batchai_recipes.service.engines.engine import Engine, EngineError, MountError, Running, TaskKey
from batchai_recipes.service.scheduling.ledger import Ledger
from batchai_recipes.service.scheduling.node_setup import NodeSetup, SetupFailedError
from batchai_recipes.service.scheduling.node_volumes import NodeVolumes
from batchai_recipes.service.scheduling.placement import ClusterNode, NodeState, resize_cluster
from batchai_recipes.service.scheduling.volume import VolumeError

_logger = logging.getLogger(__name__)

# Nodes of jobs that have ended stay on record; only those of running ones are held.
_NODES = """
    SELECT id, state, EXISTS (
        SELECT * FROM job_nodes JOIN jobs ON jobs.key = job_key
        WHERE node_id = nodes.id AND execution_state IN ('running', 'terminating')
    ) AS busy
    FROM nodes WHERE cluster_key = ? ORDER BY rowid
"""


@frozen
class _Cluster:
    key: str
    uid: str
    deleting: bool
    target: int
    allocation_state: str
    properties: Mapping[str, Any]
    secrets: Mapping[str, Any] = field(repr=False)
    nodes: tuple[ClusterNode, ...]


class _NotYet(Exception):  # noqa: N818  # nothing is wrong
    """A node's setup task still runs."""


class Allocation:
    """Brings every cluster one step nearer to its target.

    Args:
        ledger: The records.
        engine: Where the nodes are.
        volumes: Mounts what the nodes mount.
    """

    def __init__(self, ledger: Ledger, engine: Engine, volumes: NodeVolumes) -> None:
        self._ledger = ledger
        self._engine = engine
        self._volumes = volumes
        self._setup = NodeSetup(engine)

    def settle(self) -> bool:
        """Resize, prepare and release.

        Returns:
            Whether anything changed, so that looking again may be worth it.
        """
        with self._ledger.read() as records:
            clusters = [_cluster(records, row) for row in records.execute(_CLUSTERS).fetchall()]
        changes = [self._settle(cluster) for cluster in clusters]
        return any(changes)

    def _settle(self, cluster: _Cluster) -> bool:
        changed = self._resize(cluster)
        for node in cluster.nodes:
            if node.state == "preparing":
                changed |= self._prepare(cluster, node.id)
            elif node.state == "leaving" and not node.busy:
                changed |= self._release(cluster, node.id)
        return changed

    def _resize(self, cluster: _Cluster) -> bool:
        resize = resize_cluster(cluster.nodes, cluster.target)
        left = [node for node in cluster.nodes if node.state == "leaving"]
        steady = not resize.leave and not left and not cluster.deleting
        state = "steady" if steady else "resizing"
        if not resize.add and not resize.leave and state == cluster.allocation_state:
            return False
        now = self._ledger.timestamp()
        with self._ledger.write() as records:
            records.executemany(
                "INSERT INTO nodes VALUES (?, ?, 'preparing', ?, NULL)",
                [(f"tvm-{uuid.uuid4().hex}", cluster.key, now) for _ in range(resize.add)],
            )
            records.executemany(
                "UPDATE nodes SET state = 'leaving', state_at = ? WHERE id = ?",
                [(now, node) for node in resize.leave],
            )
            # Another target may have been set since this one was read: the next look sees it.
            records.execute(
                "UPDATE clusters SET allocation_state = ?, allocation_state_at = ? "
                "WHERE key = ? AND allocation_state != ? AND (target_nodes = ? OR ?)",
                (state, now, cluster.key, state, cluster.target, cluster.deleting),
            )
            _refresh_errors(records, cluster.key)
        return True

    def _prepare(self, cluster: _Cluster, node_id: str) -> bool:
        setup = cluster.properties.get("nodeSetup") or {}
        mounted = (
            *(node_id, cluster.uid, setup.get("mountVolumes")),
            cluster.secrets.get("accountKeys") or {},
        )
        error: BatchAIError | None = None
        try:
            if not self._volumes.are_mounted(*mounted):
                return False
            if setup.get("setupTask"):
                error = self._set_up(cluster, node_id, setup["setupTask"])
                # What the task wrote, its standard error among it, is to be seen by then.
                if not self._volumes.are_back(*mounted):
                    return False
        except _NotYet:
            return False
        except VolumeError as refused:
            error = error or BatchAIError(refused.code, refused.message)
        except MountError as failure:
            error = BatchAIError("ShareMountFailed", str(failure))
        except EngineError as failure:
            error = error or BatchAIError("NodePreparationFailed", str(failure))
        return self._set_state(cluster, node_id, error)

    def _set_up(
        self, cluster: _Cluster, node_id: str, task: Mapping[str, Any]
    ) -> BatchAIError | None:
        secrets = cluster.secrets.get("setupTask") or {}
        segment = f"{cluster.key.strip('/')}/{cluster.uid}"
        try:
            if not self._setup.is_done(node_id, task, secrets, segment):
                raise _NotYet
        except SetupFailedError as failure:
            return failure.error
        return None

    def _set_state(self, cluster: _Cluster, node_id: str, error: BatchAIError | None) -> bool:
        state = "idle" if error is None else "unusable"
        text = None
        if error is not None:
            told = BatchAIError(error.code, error.message, {"nodeId": node_id, **error.details})
            text = json.dumps(told.as_object())
        with self._ledger.write() as records:
            records.execute(
                "UPDATE nodes SET state = ?, state_at = ?, error = ? "
                "WHERE id = ? AND state = 'preparing'",
                (state, self._ledger.timestamp(), text, node_id),
            )
            _refresh_errors(records, cluster.key)
        return True

    def _release(self, cluster: _Cluster, node_id: str) -> bool:
        tasks = self._engine.tasks("node", node_id)
        running = [name for name, status in tasks.items() if isinstance(status, Running)]
        for name in running:
            self._engine.terminate(TaskKey("node", node_id, name))
        if running:
            return False
        try:
            self._engine.release_node(node_id)
        except EngineError as error:
            _logger.warning("Node %s cannot leave its cluster: %s", node_id, error)
            return False
        with self._ledger.write() as records:
            records.execute("DELETE FROM nodes WHERE id = ?", (node_id,))
            _refresh_errors(records, cluster.key)
        return True


_CLUSTERS = "SELECT * FROM clusters JOIN resources USING (key) ORDER BY clusters.rowid"


def _cluster(records: sqlite3.Connection, row: sqlite3.Row) -> _Cluster:
    deleting = row["provisioning_state"] == "deleting"
    return _Cluster(
        key=row["key"],
        uid=row["uid"],
        deleting=deleting,
        target=0 if deleting else row["target_nodes"],
        allocation_state=row["allocation_state"],
        properties=json.loads(row["properties"]),
        secrets=json.loads(row["secrets"]),
        nodes=tuple(
            ClusterNode(node["id"], cast("NodeState", node["state"]), bool(node["busy"]))
            for node in records.execute(_NODES, (row["key"],))
        ),
    )


def _refresh_errors(records: sqlite3.Connection, cluster_key: str) -> None:
    rows = records.execute(
        "SELECT error FROM nodes WHERE cluster_key = ? AND state = 'unusable' ORDER BY rowid",
        (cluster_key,),
    )
    errors = json.dumps([json.loads(row["error"]) for row in rows])
    records.execute("UPDATE clusters SET errors = ? WHERE key = ?", (errors, cluster_key))

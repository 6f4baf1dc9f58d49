"""The life of a node with its engine: its preparation before the first job, and its end."""

import json
import logging
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from attrs import frozen

from batchai_recipes.service.batchai_error import BatchAIError
from batchai_recipes.service.engines.engine import (
    Engine,
    EngineError,
    MountError,
    NotYetError,
    Running,
    TaskKey,
)
from batchai_recipes.service.scheduling.cluster_records import (
    ClusterRecord,
    cluster_of,
    refresh_errors,
)
from batchai_recipes.service.scheduling.ledger import Ledger
from batchai_recipes.service.scheduling.node_setup import NodeSetup, SetupFailedError
from batchai_recipes.service.scheduling.node_volumes import NodeVolumes
from batchai_recipes.service.scheduling.volume import VolumeError

_logger = logging.getLogger(__name__)


@frozen
class NodeChange:
    """What became of a node.

    Args:
        node_id: The node.
        cluster_key: The cluster that it is or was in.
        gone: Whether it is no more.
        error: Why it cannot be used, if so.
        lost: Whether it could be used, until its machine was lost.
        given_up: Whether another shall take the place of a lost one.
    """

    node_id: str
    cluster_key: str
    gone: bool = False
    error: BatchAIError | None = None
    lost: bool = False
    given_up: bool = False


class NodeLife:
    """Prepares nodes and releases them, and notices those that are lost.

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

    def advance(self, node_ids: Iterable[str]) -> tuple[list[NodeChange], list[str]]:
        """Move nodes one step on.

        Args:
            node_ids: The nodes; those that neither prepare nor leave, nor are lost, are left alone.

        Returns:
            What is to be recorded, and the nodes that are to be tried again later.
        """
        changes: list[NodeChange] = []
        failed: list[str] = []
        for node_id in node_ids:
            try:
                change = self._advance(node_id)
            except Exception:  # noqa: PERF203  # each on its own
                # One that cannot be handled, whatever the reason, must not hold up the others.
                _logger.exception("Node %s could not be handled; it is tried again", node_id)
                failed.append(node_id)
            else:
                if change is not None:
                    changes.append(change)
        return changes, failed

    def record(self, records: sqlite3.Connection, changes: Sequence[NodeChange]) -> None:
        """Record what became of nodes.

        Args:
            records: The records, open for writing.
            changes: What :meth:`advance` returned.
        """
        now = self._ledger.timestamp()
        for change in changes:
            if change.gone:
                records.execute("DELETE FROM nodes WHERE id = ?", (change.node_id,))
                continue
            if change.given_up:
                _give_up(records, change, now)
                continue
            state, text = "idle", None
            if change.error is not None:
                state, text = "unusable", json.dumps(change.error.as_object())
            before = ("preparing", "idle", "running") if change.lost else ("preparing",)
            records.execute(
                "UPDATE nodes SET state = ?, state_at = ?, error = ? "
                "WHERE id = ? AND state IN (SELECT value FROM json_each(?))",
                (state, now, text, change.node_id, json.dumps(before)),
            )
        refresh_errors(records, {change.cluster_key for change in changes})

    def _advance(self, node_id: str) -> NodeChange | None:
        with self._ledger.read() as records:
            node = records.execute("SELECT * FROM nodes WHERE id = ?", (node_id,)).fetchone()
            cluster = node and cluster_of(records, node["cluster_key"])
        if node is None or cluster is None:
            return None
        if node["state"] == "preparing":
            return self._prepare(cluster, node_id)
        if node["state"] == "leaving" and node["job_key"] is None:
            return self._release(cluster, node_id)
        if node["state"] in {"idle", "running", "unusable"}:
            return self._notice_loss(cluster, node_id, node["state"], node["job_key"])
        return None

    def _notice_loss(
        self, cluster: ClusterRecord, node_id: str, state: str, job_key: str | None
    ) -> NodeChange | None:
        """Make a lost node unusable, and give it up once no job holds it any more."""
        why = self._engine.lost(node_id)
        if not why:
            return None
        if state == "unusable":
            return None if job_key else NodeChange(node_id, cluster.key, given_up=True)
        _logger.warning("Node %s of %s is lost: %s", node_id, cluster.key, why)
        message = f"The node was lost, and another takes its place: {why}"
        error = BatchAIError("NodeLost", message, {"nodeId": node_id})
        return NodeChange(node_id, cluster.key, error=error, lost=True)

    def _prepare(self, cluster: ClusterRecord, node_id: str) -> NodeChange | None:
        setup = cluster.properties.get("nodeSetup") or {}
        mounted = (
            *(node_id, cluster.uid, setup.get("mountVolumes")),
            cluster.secrets.get("accountKeys") or {},
        )
        error: BatchAIError | None = None
        try:
            if not self._volumes.are_mounted(
                *mounted, gpu_count=cluster.gpu_count, machine=cluster.machine
            ):
                return None
            if setup.get("setupTask"):
                error = self._set_up(cluster, node_id, setup["setupTask"])
                # What the task wrote, its standard error among it, is to be seen by then.
                if not self._volumes.are_back(*mounted):
                    return None
        except NotYetError:
            return None
        except VolumeError as refused:
            error = error or BatchAIError(refused.code, refused.message)
        except MountError as failure:
            error = BatchAIError("ShareMountFailed", str(failure))
        except EngineError as failure:
            error = error or BatchAIError("NodePreparationFailed", str(failure))
        if error is not None:
            error = BatchAIError(error.code, error.message, {"nodeId": node_id, **error.details})
        return NodeChange(node_id, cluster.key, error=error)

    def _set_up(
        self, cluster: ClusterRecord, node_id: str, task: Mapping[str, Any]
    ) -> BatchAIError | None:
        secrets = cluster.secrets.get("setupTask") or {}
        segment = f"{cluster.key.strip('/')}/{cluster.uid}"
        try:
            if not self._setup.is_done(node_id, task, secrets, segment):
                raise NotYetError
        except SetupFailedError as failure:
            return failure.error
        return None

    def _release(self, cluster: ClusterRecord, node_id: str) -> NodeChange | None:
        tasks = self._engine.tasks("node", node_id)
        running = [name for name, status in tasks.items() if isinstance(status, Running)]
        for name in running:
            self._engine.terminate(TaskKey("node", node_id, name))
        if running:
            return None
        self._engine.release_node(node_id)
        return NodeChange(node_id, cluster.key, gone=True)


def _give_up(records: sqlite3.Connection, change: NodeChange, now: str) -> None:
    records.execute(
        "UPDATE nodes SET state = 'leaving', state_at = ? WHERE id = ? AND state = 'unusable'",
        (now, change.node_id),
    )
    records.execute("UPDATE clusters SET unsettled = 1 WHERE key = ?", (change.cluster_key,))

"""How many nodes a cluster has: making new ones, and choosing those that shall leave."""

import sqlite3
import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import cast

from attrs import Factory, define, frozen

from batchai_recipes.service.clock import iso_timestamp
from batchai_recipes.service.scheduling.autoscale import (
    AutoScale,
    NodeCounts,
    RestingNode,
    RestingState,
    given_up,
    grown,
    removable,
)
from batchai_recipes.service.scheduling.cluster_records import (
    ClusterRecord,
    node_counts,
    refresh_errors,
)
from batchai_recipes.service.scheduling.job_records import moment_of
from batchai_recipes.service.scheduling.placement import ClusterNode, NodeState, resize_cluster


@frozen
class Resized:
    """What became of a cluster's size.

    Args:
        made: The nodes that are to be prepared.
        leaving: The nodes that leave or are told to.
        jobs: The uids of the jobs that hold one of those.
    """

    made: tuple[str, ...] = ()
    leaving: tuple[str, ...] = ()
    jobs: tuple[str, ...] = ()


@define
class Scaling:
    """What became of a cluster that scales by itself.

    Args:
        made: The nodes that are to be prepared.
        leaving: The nodes that are told to leave.
        again_at: When to look again, if time alone may change something.
    """

    made: tuple[str, ...] = ()
    leaving: tuple[str, ...] = Factory(tuple)
    again_at: datetime | None = None


class Allocation:
    """Brings clusters to their targets, and moves the targets of those that scale by themselves.

    Works inside the scheduler's transaction, on the records alone.

    Args:
        scale_down_after: How long a node may do nothing before automatic scale gives it up.
    """

    def __init__(self, scale_down_after: timedelta) -> None:
        self._scale_down_after = scale_down_after

    def resize(self, records: sqlite3.Connection, cluster: ClusterRecord, now: datetime) -> Resized:
        """Make the nodes that a cluster lacks and tell those to leave that it has too many.

        Args:
            records: The records, open for writing.
            cluster: The cluster.
            now: The present time.
        """
        counts = node_counts(records, cluster.key)
        made: tuple[str, ...] = ()
        if counts.staying < cluster.target:
            made = _make(records, cluster.key, cluster.target - counts.staying, now)
        elif counts.staying > cluster.target:
            nodes = [
                ClusterNode(row["id"], cast("NodeState", row["state"]), row["job_key"] is not None)
                for row in records.execute(
                    "SELECT id, state, job_key FROM nodes WHERE cluster_key = ? ORDER BY rowid",
                    (cluster.key,),
                )
            ]
            _give_up(records, cluster.key, resize_cluster(nodes, cluster.target).leave, now)
        leaving = records.execute(
            "SELECT id, jobs.uid FROM nodes LEFT JOIN jobs ON jobs.key = job_key "
            "WHERE nodes.cluster_key = ? AND state = 'leaving'",
            (cluster.key,),
        ).fetchall()
        _show_state(records, cluster, steady=not leaving and not cluster.deleting, now=now)
        return Resized(
            made=made,
            leaving=tuple(row["id"] for row in leaving),
            jobs=tuple({row["uid"] for row in leaving if row["uid"] is not None}),
        )

    def scale(
        self,
        records: sqlite3.Connection,
        cluster: ClusterRecord,
        auto_scale: AutoScale,
        now: datetime,
    ) -> Scaling:
        """Let a cluster grow for the jobs that wait, and give up nodes that nobody needs.

        Args:
            records: The records, open for writing.
            cluster: The cluster, which has been resized to its target.
            auto_scale: Its bounds.
            now: The present time.
        """
        counts = node_counts(records, cluster.key)
        waiting = self._waiting(records, cluster.key, counts, auto_scale)
        spare = removable(counts, waiting, auto_scale)
        leaving: tuple[str, ...] = ()
        again_at = None
        if spare or counts.unusable:
            resting = _resting(records, cluster.key)
            leaving, again_at = given_up(resting, spare, now, self._scale_down_after)
            _give_up(records, cluster.key, leaving, now)
            counts = node_counts(records, cluster.key)
        target = grown(counts, waiting, auto_scale)
        made = _make(records, cluster.key, target - counts.staying, now)
        if target != cluster.target:
            records.execute(
                "UPDATE clusters SET target_nodes = ? WHERE key = ?", (target, cluster.key)
            )
        if leaving:
            _show_state(records, cluster, steady=False, now=now)
        return Scaling(made, leaving, again_at)

    def _waiting(
        self,
        records: sqlite3.Connection,
        cluster_key: str,
        counts: NodeCounts,
        auto_scale: AutoScale,
    ) -> int:
        """Return how many nodes the queued jobs need, as far as that makes a difference."""
        # Each needs at least one, so as many jobs as there can be further nodes are enough.
        enough = auto_scale.maximum - counts.working
        if enough <= 0:
            return 0
        (needed,) = records.execute(
            "SELECT SUM(node_count) FROM (SELECT node_count FROM jobs "
            "WHERE cluster_key = ? AND execution_state = 'queued' AND node_count <= ? "
            "ORDER BY priority DESC, sequence LIMIT ?)",
            (cluster_key, auto_scale.maximum, enough),
        ).fetchone()
        return min(int(needed or 0), enough)


def _make(
    records: sqlite3.Connection, cluster_key: str, count: int, now: datetime
) -> tuple[str, ...]:
    made = tuple(f"tvm-{uuid.uuid4().hex}" for _ in range(count))
    timestamp = iso_timestamp(now)
    records.executemany(
        "INSERT INTO nodes (id, cluster_key, state, state_at) VALUES (?, ?, 'preparing', ?)",
        [(node, cluster_key, timestamp) for node in made],
    )
    return made


def _give_up(
    records: sqlite3.Connection, cluster_key: str, nodes: tuple[str, ...], now: datetime
) -> None:
    if not nodes:
        return
    records.executemany(
        "UPDATE nodes SET state = 'leaving', state_at = ? WHERE id = ?",
        [(iso_timestamp(now), node) for node in nodes],
    )
    refresh_errors(records, (cluster_key,))


def _resting(records: sqlite3.Connection, cluster_key: str) -> Iterator[RestingNode]:
    states: tuple[RestingState, ...] = ("unusable", "idle")
    for state in states:
        rows = records.execute(
            "SELECT id, state_at FROM nodes WHERE cluster_key = ? AND state = ? ORDER BY state_at",
            (cluster_key, state),
        )
        for row in rows:
            yield RestingNode(row["id"], state, moment_of(row["state_at"]))


def _show_state(
    records: sqlite3.Connection, cluster: ClusterRecord, *, steady: bool, now: datetime
) -> None:
    state = "steady" if steady else "resizing"
    records.execute(
        "UPDATE clusters SET allocation_state = ?, allocation_state_at = ? "
        "WHERE key = ? AND allocation_state != ?",
        (state, iso_timestamp(now), cluster.key, state),
    )

"""Queued jobs: giving them nodes, or telling them that they will never run."""

import sqlite3
from collections.abc import Sequence

from batchai_recipes.service.batchai_error import BatchAIError, errors_as_json
from batchai_recipes.service.scheduling.cluster_records import ClusterRecord
from batchai_recipes.service.scheduling.placement import (
    ClusterNodes,
    Placement,
    WaitingJob,
    place_jobs,
)

TERMINATED = BatchAIError("JobTerminated", "The specified job has been terminated by the user")
NO_CLUSTER = BatchAIError(
    "ClusterNotFound", "The job's cluster has been deleted: submit the job to another cluster"
)


class JobQueue:
    """The jobs that wait for nodes.

    Works inside the scheduler's transaction, on the records alone.
    """

    def fail_terminated(self, records: sqlite3.Connection, now: str) -> None:
        """Fail the queued jobs whose users want them to end.

        Args:
            records: The records, open for writing.
            now: The present time, as records hold it.
        """
        rows = records.execute(
            "SELECT key FROM jobs INDEXED BY jobs_to_end WHERE ended_at IS NULL "
            "AND termination_requested_at IS NOT NULL AND execution_state = 'queued'"
        ).fetchall()
        _fail(records, [row["key"] for row in rows], TERMINATED, now)

    def fail_without_cluster(self, records: sqlite3.Connection, now: str) -> None:
        """Fail the queued jobs whose cluster is gone.

        Args:
            records: The records, open for writing.
            now: The present time, as records hold it.
        """
        rows = records.execute(
            "SELECT key FROM jobs WHERE execution_state = 'queued' "
            "AND cluster_key NOT IN (SELECT key FROM clusters)"
        ).fetchall()
        _fail(records, [row["key"] for row in rows], NO_CLUSTER, now)

    def fail_all(self, records: sqlite3.Connection, cluster_key: str, now: str) -> None:
        """Fail the queued jobs of a cluster that is being deleted.

        Args:
            records: The records, open for writing.
            cluster_key: The cluster.
            now: The present time, as records hold it.
        """
        rows = records.execute(
            "SELECT key FROM jobs WHERE cluster_key = ? AND execution_state = 'queued'",
            (cluster_key,),
        ).fetchall()
        _fail(records, [row["key"] for row in rows], NO_CLUSTER, now)

    def place(self, records: sqlite3.Connection, cluster: ClusterRecord, now: str) -> list[str]:
        """Give a cluster's idle nodes to the first in line.

        Args:
            records: The records, open for writing.
            cluster: The cluster.
            now: The present time, as records hold it.

        Returns:
            The uids of the jobs that have their nodes now.
        """
        (first,) = records.execute(
            "SELECT EXISTS (SELECT 1 FROM jobs "
            "WHERE cluster_key = ? AND execution_state = 'queued')",
            (cluster.key,),
        ).fetchone()
        if not first:
            return []
        idle = [
            row["id"]
            for row in records.execute(
                # Those that have been idle for longest are left for automatic scale to give up.
                "SELECT id FROM nodes WHERE cluster_key = ? AND state = 'idle' "
                "ORDER BY state_at DESC, rowid DESC",
                (cluster.key,),
            )
        ]
        if not idle:
            return []
        size = _size(records, cluster)
        waiting = _first_in_line(records, cluster.key, size, len(idle) + 1)
        nodes = ClusterNodes(idle, size)
        placements = place_jobs(waiting.values(), {cluster.key: nodes})
        _start(records, placements, now)
        return [waiting[placement.job_key].uid for placement in placements]


def _size(records: sqlite3.Connection, cluster: ClusterRecord) -> int:
    """Return how many nodes a job of this cluster can ever get."""
    (unusable,) = records.execute(
        "SELECT COUNT(*) FROM nodes WHERE cluster_key = ? AND state = 'unusable'", (cluster.key,)
    ).fetchone()
    scale = cluster.auto_scale
    return (cluster.target if scale is None else scale.maximum) - int(unusable)


def _first_in_line(
    records: sqlite3.Connection, cluster_key: str, size: int, count: int
) -> dict[str, WaitingJob]:
    rows = records.execute(
        "SELECT jobs.key, uid, node_count, priority, sequence FROM jobs JOIN resources USING (key) "
        "WHERE cluster_key = ? AND execution_state = 'queued' AND node_count <= ? "
        "AND provisioning_state != 'deleting' "
        "ORDER BY priority DESC, sequence LIMIT ?",
        (cluster_key, size, count),
    )
    return {
        row["key"]: WaitingJob(
            row["key"],
            cluster_key,
            row["node_count"],
            row["priority"],
            row["sequence"],
            uid=row["uid"],
        )
        for row in rows
    }


def _start(records: sqlite3.Connection, placements: Sequence[Placement], now: str) -> None:
    records.executemany(
        "UPDATE jobs SET execution_state = 'running', execution_state_at = ?, started_at = ? "
        "WHERE key = ?",
        [(now, now, placement.job_key) for placement in placements],
    )
    records.executemany(
        "INSERT INTO job_nodes VALUES (?, ?, ?)",
        [(p.job_key, node, i) for p in placements for i, node in enumerate(p.node_ids)],
    )
    records.executemany(
        "UPDATE nodes SET state = 'running', state_at = ?, job_key = ? WHERE id = ?",
        [(now, p.job_key, node) for p in placements for node in p.node_ids],
    )


def _fail(
    records: sqlite3.Connection, job_keys: Sequence[str], error: BatchAIError, now: str
) -> None:
    text = errors_as_json([error])
    records.executemany(
        "UPDATE jobs SET execution_state = 'failed', execution_state_at = ?, ended_at = ?, "
        "errors = ? WHERE key = ? AND execution_state = 'queued'",
        [(now, now, text, key) for key in job_keys],
    )
    close_terminations(records, job_keys, now)


def close_terminations(records: sqlite3.Connection, job_keys: Sequence[str], now: str) -> None:
    """Close the operations that wait for the end of jobs.

    Args:
        records: The records, open for writing.
        job_keys: The jobs, which have ended.
        now: The present time, as records hold it.
    """
    records.executemany(
        "UPDATE operations SET status = 'Succeeded', ended_at = max(started_at, ?) "
        "WHERE resource_key = ? AND action = 'terminate' AND status = 'InProgress'",
        [(now, key) for key in job_keys],
    )

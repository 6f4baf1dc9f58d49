"""Queued jobs: giving them nodes, or telling them that they will never run."""

import sqlite3
from collections.abc import Mapping

from batchai_recipes.service.batchai_error import BatchAIError, errors_as_json
from batchai_recipes.service.scheduling.job_records import JobRecord, jobs_in
from batchai_recipes.service.scheduling.ledger import Ledger
from batchai_recipes.service.scheduling.placement import (
    ClusterNodes,
    Placement,
    WaitingJob,
    place_jobs,
)

_TERMINATED = BatchAIError("JobTerminated", "The specified job has been terminated by the user")
_NO_CLUSTER = BatchAIError(
    "ClusterNotFound", "The job's cluster has been deleted: submit the job to another cluster"
)


class JobQueue:
    """The jobs that wait for nodes.

    Args:
        ledger: The records.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def settle(self) -> bool:
        """Place what can start now, and fail what was terminated or has lost its cluster.

        Returns:
            Whether anything changed.
        """
        with self._ledger.read() as records:
            waiting = [job for job in jobs_in(records, ("queued",)) if not job.deleting]
            clusters = _clusters(records)
        doomed = [(job, error) for job in waiting if (error := _doom(job, clusters))]
        for job, error in doomed:
            self._fail(job, error)
        ready = [job for job in waiting if not _doom(job, clusters)]
        placements = place_jobs([_waiting_job(job) for job in ready], clusters)
        for placement in placements:
            self._start(placement)
        return bool(placements or doomed)

    def _fail(self, job: JobRecord, error: BatchAIError) -> None:
        now = self._ledger.timestamp()
        with self._ledger.write() as records:
            records.execute(
                "UPDATE jobs SET execution_state = 'failed', execution_state_at = ?, ended_at = ?, "
                "errors = ? WHERE key = ? AND execution_state = 'queued'",
                (now, now, errors_as_json([error]), job.key),
            )

    def _start(self, placement: Placement) -> None:
        now = self._ledger.timestamp()
        with self._ledger.write() as records:
            placed = records.execute(
                "UPDATE jobs SET execution_state = 'running', execution_state_at = ?, "
                "started_at = ? WHERE key = ? AND execution_state = 'queued' "
                "AND termination_requested_at IS NULL",
                (now, now, placement.job_key),
            ).rowcount
            if not placed:
                return  # terminated just now, which the next look sees
            records.executemany(
                "INSERT INTO job_nodes VALUES (?, ?, ?)",
                [(placement.job_key, node, i) for i, node in enumerate(placement.node_ids)],
            )
            records.executemany(
                "UPDATE nodes SET state = 'running', state_at = ? WHERE id = ?",
                [(now, node) for node in placement.node_ids],
            )


def _clusters(records: sqlite3.Connection) -> Mapping[str, ClusterNodes]:
    rows = records.execute(
        "SELECT clusters.key, target_nodes, "
        "  (SELECT count(*) FROM nodes WHERE cluster_key = clusters.key AND state = 'unusable') "
        "  AS unusable "
        "FROM clusters JOIN resources USING (key) WHERE provisioning_state != 'deleting'"
    ).fetchall()
    idle: dict[str, list[str]] = {row["key"]: [] for row in rows}
    for node in records.execute("SELECT * FROM nodes WHERE state = 'idle' ORDER BY rowid"):
        if node["cluster_key"] in idle:
            idle[node["cluster_key"]].append(node["id"])
    return {
        row["key"]: ClusterNodes(idle[row["key"]], row["target_nodes"] - row["unusable"])
        for row in rows
    }


def _doom(job: JobRecord, clusters: Mapping[str, ClusterNodes]) -> BatchAIError | None:
    if job.termination_requested:
        return _TERMINATED
    return None if job.cluster_key in clusters else _NO_CLUSTER


def _waiting_job(job: JobRecord) -> WaitingJob:
    return WaitingJob(job.key, job.cluster_key, job.node_count, job.priority, job.sequence)

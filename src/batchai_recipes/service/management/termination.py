"""Ending jobs: the scheduler ends whose termination is requested."""

import sqlite3


def request_termination(records: sqlite3.Connection, job_key: str, timestamp: str) -> None:
    """Record that a job which has not ended is to end; whoever commits that wakes the scheduler.

    Args:
        records: The records, open for writing.
        job_key: The job.
        timestamp: The present time, as records hold it.
    """
    changed = records.execute(
        "UPDATE jobs SET termination_requested_at = ? "
        "WHERE key = ? AND termination_requested_at IS NULL",
        (timestamp, job_key),
    )
    if changed.rowcount:
        records.execute(
            "UPDATE jobs SET execution_state = 'terminating', execution_state_at = ? "
            "WHERE key = ? AND execution_state = 'running'",
            (timestamp, job_key),
        )

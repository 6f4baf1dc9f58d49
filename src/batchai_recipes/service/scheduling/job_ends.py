"""Recording what became of running jobs."""

import json
import sqlite3
import uuid
from collections.abc import Sequence

from batchai_recipes.service.batchai_error import errors_as_json
from batchai_recipes.service.clock import iso_timestamp
from batchai_recipes.service.scheduling.job_outcome import Outcome
from batchai_recipes.service.scheduling.job_queue import close_terminations
from batchai_recipes.service.scheduling.job_records import JobRecord
from batchai_recipes.service.scheduling.job_runs import JobChange

_SEGMENT = "jobOutputDirectoryPathSegment"


def record_changes(records: sqlite3.Connection, changes: Sequence[JobChange], now: str) -> None:
    """Record what became of running jobs, and free the nodes of those that have ended.

    Args:
        records: The records, open for writing.
        changes: What became of them.
        now: The present time, as records hold it.
    """
    for change in changes:
        if change.outcome is None:
            records.execute(
                "UPDATE jobs SET execution_state = 'terminating', execution_state_at = ? "
                "WHERE key = ? AND execution_state = 'running'",
                (now, change.job.key),
            )
        elif change.outcome.state == "queued":
            _requeue(records, change, now)
        else:
            _end(records, change.job, change.outcome, now)
    over = [change.job for change in changes if change.outcome is not None]
    _free(records, [node for job in over for node in job.node_ids], now)
    close_terminations(
        records,
        [c.job.key for c in changes if c.outcome is not None and c.outcome.state != "queued"],
        now,
    )


def _end(records: sqlite3.Connection, job: JobRecord, outcome: Outcome, now: str) -> None:
    ended = now if outcome.ended_at is None else iso_timestamp(outcome.ended_at)
    errors = [outcome.error] if outcome.error else []
    records.execute(
        "UPDATE jobs SET execution_state = ?, execution_state_at = ?, ended_at = ?, "
        "exit_code = ?, errors = ? WHERE key = ?",
        (outcome.state, ended, ended, outcome.exit_code, errors_as_json(errors), job.key),
    )


def _requeue(records: sqlite3.Connection, change: JobChange, now: str) -> None:
    job = change.job
    records.execute("DELETE FROM job_nodes WHERE job_key = ?", (job.key,))
    records.execute(
        "UPDATE jobs SET execution_state = 'queued', execution_state_at = ?, started_at = NULL "
        "WHERE key = ?",
        (now, job.key),
    )
    if change.ran:
        _give_new_outputs(records, job)


def _give_new_outputs(records: sqlite3.Connection, job: JobRecord) -> None:
    """Let the next run of a job write to directories of its own, and find those of this one."""
    segment = str(job.properties[_SEGMENT])
    place, _, run = segment.rpartition("/")
    next_run = str(uuid.uuid4())
    properties = {**job.properties, _SEGMENT: f"{place}/{next_run}"}
    records.execute(
        "UPDATE resources SET properties = ? WHERE key = ?", (json.dumps(properties), job.key)
    )
    records.execute(
        "UPDATE jobs SET previous_segment = ?, output_locations = replace(output_locations, ?, ?) "
        "WHERE key = ?",
        (segment, run, next_run, job.key),
    )


def _free(records: sqlite3.Connection, node_ids: Sequence[str], now: str) -> None:
    records.executemany(
        "UPDATE nodes SET job_key = NULL, "
        "state_at = CASE state WHEN 'running' THEN ? ELSE state_at END, "
        "state = CASE state WHEN 'running' THEN 'idle' ELSE state END WHERE id = ?",
        [(now, node) for node in node_ids],
    )

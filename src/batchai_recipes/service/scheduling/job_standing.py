"""How a running job stands with those who may want it to end."""

import json
import sqlite3

from attrs import frozen

from batchai_recipes.service.scheduling.cluster_records import cluster_of
from batchai_recipes.service.scheduling.job_outcome import Stop
from batchai_recipes.service.scheduling.job_records import JobRecord


@frozen
class JobStanding:
    """What of a running job may change from one look to the next.

    Args:
        state: Its execution state.
        stop: Who wants it to end, if anybody does.
    """

    state: str
    stop: Stop | None


def standing_of(records: sqlite3.Connection, job: JobRecord) -> JobStanding | None:
    """Read how a job stands.

    Args:
        records: An open view of the records.
        job: The job.

    Returns:
        Its standing, or None when it holds no nodes (any more).
    """
    row = records.execute(
        "SELECT execution_state, termination_requested_at, own.provisioning_state AS own_state, "
        "cluster.provisioning_state AS cluster_state, allocation_state "
        "FROM jobs JOIN resources AS own ON own.key = jobs.key "
        "LEFT JOIN resources AS cluster ON cluster.key = jobs.cluster_key "
        "LEFT JOIN clusters ON clusters.key = jobs.cluster_key WHERE jobs.uid = ?",
        (job.uid,),
    ).fetchone()
    if row is None or row["execution_state"] not in {"running", "terminating"}:
        return None
    return JobStanding(row["execution_state"], _stop(records, job, row))


def _stop(records: sqlite3.Connection, job: JobRecord, row: sqlite3.Row) -> Stop | None:
    if row["termination_requested_at"] is not None:
        return Stop("The specified job has been terminated by the user")
    if row["own_state"] == "deleting":
        return Stop("The job was terminated since it is being deleted")
    if row["cluster_state"] in {None, "deleting"}:
        return Stop("The job was terminated since its cluster is being deleted")
    if row["allocation_state"] == "steady":
        return None  # none of its nodes leaves
    return _stop_for_nodes(records, job)


def _stop_for_nodes(records: sqlite3.Connection, job: JobRecord) -> Stop | None:
    leaving, preempted = records.execute(
        "SELECT COUNT(*), TOTAL(preempted) FROM nodes "
        "WHERE id IN (SELECT value FROM json_each(?)) AND state = 'leaving'",
        (json.dumps(job.node_ids),),
    ).fetchone()
    if preempted:
        return Stop("The job was terminated since a node of it was preempted", requeue=True)
    if not leaving:
        return None
    cluster = cluster_of(records, job.cluster_key)
    option = "terminate" if cluster is None else cluster.deallocation_option
    if option == "waitforjobcompletion":
        return None
    return Stop(
        "The job was terminated since its cluster gave up nodes", requeue=option == "requeue"
    )

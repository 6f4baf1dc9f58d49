"""What the scheduler reads of jobs."""

import json
import sqlite3
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from attrs import field, frozen


@frozen
class JobRecord:
    """A job as the records have it.

    Args:
        key: Its resource id in lower case.
        name: Its name.
        uid: What tells it from earlier jobs of the same name.
        cluster_key: The cluster it is meant for.
        priority: Higher goes first.
        sequence: The order of arrival.
        node_count: How many nodes it needs.
        state: Its execution state.
        started_at: When it was placed on its nodes, if it was.
        termination_requested: Whether its user wants it to end.
        deleting: Whether it shall be deleted.
        properties: What a GET returns of it.
        environment_secrets: Its variables with secret values.
        account_keys: The keys of its own volumes, by relative mount path.
        registry_password: What opens the registry of its image; empty when it needs none.
        node_ids: Its nodes, the master first.
    """

    key: str
    name: str
    uid: str
    cluster_key: str
    priority: int
    sequence: int
    node_count: int
    state: str
    started_at: datetime | None
    termination_requested: bool
    deleting: bool
    properties: Mapping[str, Any]
    environment_secrets: Mapping[str, str] = field(repr=False)
    account_keys: Mapping[str, str] = field(repr=False)
    node_ids: tuple[str, ...]
    registry_password: str = field(default="", repr=False)


def jobs_in(records: sqlite3.Connection, states: Iterable[str]) -> tuple[JobRecord, ...]:
    """Read the jobs that are in one of some execution states, in the order of arrival.

    Args:
        records: An open view of the records.
        states: The states.
    """
    wanted = json.dumps(list(states))
    rows = records.execute(
        "SELECT jobs.*, resources.name, resources.properties, resources.secrets, "
        "resources.provisioning_state FROM jobs JOIN resources USING (key) "
        "WHERE execution_state IN (SELECT value FROM json_each(?)) ORDER BY sequence",
        (wanted,),
    ).fetchall()
    return tuple(_job(records, row) for row in rows)


def _job(records: sqlite3.Connection, row: sqlite3.Row) -> JobRecord:
    nodes = records.execute(
        "SELECT node_id FROM job_nodes WHERE job_key = ? ORDER BY task_index", (row["key"],)
    )
    secrets = json.loads(row["secrets"])
    return JobRecord(
        key=row["key"],
        name=row["name"],
        uid=row["uid"],
        cluster_key=row["cluster_key"],
        priority=row["priority"],
        sequence=row["sequence"],
        node_count=row["node_count"],
        state=row["execution_state"],
        started_at=_moment(row["started_at"]),
        termination_requested=row["termination_requested_at"] is not None,
        deleting=row["provisioning_state"] == "deleting",
        properties=json.loads(row["properties"]),
        environment_secrets=secrets.get("environment") or {},
        account_keys=secrets.get("accountKeys") or {},
        node_ids=tuple(node["node_id"] for node in nodes),
        registry_password=secrets.get("registryPassword") or "",
    )


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    # Python 3.10 reads neither the closing Z nor fractions of one or two digits.
    seconds, _, fraction = text.removesuffix("Z").partition(".")
    return datetime.fromisoformat(f"{seconds}.{fraction:0<6}+00:00")

"""What the scheduler reads of jobs."""

import json
import sqlite3
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from attrs import field, frozen


@frozen
class JobRecord:
    """What of a job does not change while it holds its nodes.

    Args:
        key: Its resource id in lower case.
        name: Its name.
        uid: What tells it from earlier jobs of the same name.
        cluster_key: The cluster it is meant for.
        node_count: How many nodes it needs.
        started_at: When it was placed on its nodes, if it was.
        properties: What a GET returns of it.
        environment_secrets: Its variables with secret values.
        account_keys: The keys of its own volumes, by relative mount path.
        registry_password: What opens the registry of its image; empty when it needs none.
        node_ids: Its nodes, the master first.
        previous_segment: Where the outputs of its run before this one lie, if it was requeued.
    """

    key: str
    name: str
    uid: str
    cluster_key: str
    node_count: int
    started_at: datetime | None
    properties: Mapping[str, Any]
    environment_secrets: Mapping[str, str] = field(repr=False)
    account_keys: Mapping[str, str] = field(repr=False)
    node_ids: tuple[str, ...]
    registry_password: str = field(default="", repr=False)
    previous_segment: str | None = None


def job_of(records: sqlite3.Connection, uid: str) -> JobRecord | None:
    """Read a job.

    Args:
        records: An open view of the records.
        uid: The job's uid.

    Returns:
        The job, or None where there is none.
    """
    row = records.execute(
        "SELECT jobs.*, resources.name, resources.properties, resources.secrets "
        "FROM jobs JOIN resources USING (key) WHERE uid = ?",
        (uid,),
    ).fetchone()
    if row is None:
        return None
    nodes = records.execute(
        "SELECT node_id FROM job_nodes WHERE job_key = ? ORDER BY task_index", (row["key"],)
    )
    secrets = json.loads(row["secrets"])
    return JobRecord(
        key=row["key"],
        name=row["name"],
        uid=row["uid"],
        cluster_key=row["cluster_key"],
        node_count=row["node_count"],
        started_at=moment_of(row["started_at"]) if row["started_at"] else None,
        properties=json.loads(row["properties"]),
        environment_secrets=secrets.get("environment") or {},
        account_keys=secrets.get("accountKeys") or {},
        node_ids=tuple(node["node_id"] for node in nodes),
        registry_password=secrets.get("registryPassword") or "",
        previous_segment=row["previous_segment"],
    )


def moment_of(text: str) -> datetime:
    """Read a time as records hold it.

    Example:
        >>> moment_of("2018-06-06T20:44:54.74Z").isoformat()
        '2018-06-06T20:44:54.740000+00:00'
    """
    # Python 3.10 reads neither the closing Z nor fractions of one or two digits.
    seconds, _, fraction = text.removesuffix("Z").partition(".")
    return datetime.fromisoformat(f"{seconds}.{fraction:0<6}+00:00")

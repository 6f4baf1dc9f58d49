"""How long clusters have idled and lived, by the records: no restart of the service changes it."""

import sqlite3
from datetime import datetime, timedelta
from typing import Final

from attrs import frozen

from batchai_recipes.service.scheduling.job_records import moment_of
from batchai_recipes.service.sessions.session_tags import ClusterLimits

_AT_WORK: Final = frozenset({"running", "preparing", "leaving"})


@frozen
class ClusterTimes:
    """Since when a cluster has been there and without a job.

    Args:
        made: When it was made.
        idle_since: Since when no job has run on it or waited for it, and no node has come or gone;
            None while it is busy.
    """

    made: datetime
    idle_since: datetime | None

    @classmethod
    def of(cls, records: sqlite3.Connection, cluster_key: str) -> "ClusterTimes":
        """Read a cluster.

        Args:
            records: An open view of the records.
            cluster_key: The cluster.
        """
        row = records.execute(
            "SELECT created_at, allocation_state, allocation_state_at "
            "FROM resources JOIN clusters USING (key) WHERE key = ?",
            (cluster_key,),
        ).fetchone()
        made = moment_of(row["created_at"])
        nodes = records.execute(
            "SELECT state, state_at FROM nodes WHERE cluster_key = ?", (cluster_key,)
        ).fetchall()
        settled = row["allocation_state"] == "steady" and _AT_WORK.isdisjoint(
            node["state"] for node in nodes
        )
        if not settled or unended_jobs(records, cluster_key):
            return cls(made, None)
        # A node has come or been set free then; a job that never got one has ended.
        last = records.execute(
            "SELECT max(ended_at) FROM jobs WHERE cluster_key = ?", (cluster_key,)
        ).fetchone()[0]
        times = [row["allocation_state_at"], *(node["state_at"] for node in nodes)]
        return cls(made, max(moment_of(time) for time in (*times, last) if time))

    def due(self, limits: ClusterLimits, now: datetime) -> "Due":
        """Say when the cluster is to be looked at again, and whether it has to go now.

        Args:
            limits: How long it may stay.
            now: The present time.
        """
        ends = []
        if limits.max_lifetime is not None:
            ends.append((self.made, limits.max_lifetime, "max_lifetime"))
        if limits.idle_timeout is not None:
            # A busy one cannot be due before it has idled from now on.
            ends.append((self.idle_since or now, limits.idle_timeout, "idle_timeout"))
        dues = [Due(_later(since, span), f"{name} {span:g} s") for since, span, name in ends]
        return min(dues, key=lambda due: due.at)


@frozen
class Due:
    """When a limit is reached, unless something happens before.

    Args:
        at: The time.
        limit: The limit in words.
    """

    at: datetime
    limit: str


def unended_jobs(records: sqlite3.Connection, cluster_key: str) -> list[str]:
    """Return the keys of the jobs that run on a cluster or wait for it.

    Args:
        records: An open view of the records.
        cluster_key: The cluster.
    """
    rows = records.execute(
        "SELECT key FROM jobs WHERE cluster_key = ? "
        "AND execution_state IN ('queued', 'running', 'terminating')",
        (cluster_key,),
    )
    return [row["key"] for row in rows]


def _later(since: datetime, seconds: float) -> datetime:
    try:
        return since + timedelta(seconds=seconds)
    except OverflowError:
        return datetime.max.replace(tzinfo=since.tzinfo)

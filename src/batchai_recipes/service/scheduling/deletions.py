"""Deleting resources, children first, once nothing of them runs."""

import logging
import sqlite3
from collections.abc import Sequence

from attrs import frozen

from batchai_recipes.service.engines.engine import Engine, EngineError

_logger = logging.getLogger(__name__)

# So many at a time keep the transaction short that removes them.
_AT_ONCE = 2000
# Neither children, nor nodes, nor a run of its own.
_READY = """
    SELECT key, kind, jobs.uid FROM resources LEFT JOIN jobs USING (key)
    WHERE provisioning_state = 'deleting'
      AND NOT EXISTS (SELECT * FROM resources AS child WHERE child.parent_key = resources.key)
      AND NOT EXISTS (SELECT * FROM nodes WHERE cluster_key = resources.key)
      AND coalesce(execution_state, '') NOT IN ('running', 'terminating')
    LIMIT ?
"""
_UNMARKED = (
    "provisioning_state != 'deleting' AND parent_key IN "
    "(SELECT key FROM resources WHERE provisioning_state = 'deleting')"
)


@frozen
class Doomed:
    """A resource that can be removed.

    Args:
        key: The resource.
        kind: What it is.
        job_uid: The uid of the job that it is, if it is one.
    """

    key: str
    kind: str
    job_uid: str | None


class Deletions:
    """Removes what is marked as deleting.

    Args:
        engine: Holds the folders of jobs.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def are_wanted(self, records: sqlite3.Connection) -> bool:
        """Tell whether anything is being deleted.

        Args:
            records: An open view of the records.
        """
        row = records.execute(
            "SELECT 1 FROM resources WHERE provisioning_state = 'deleting' LIMIT 1"
        ).fetchone()
        return row is not None

    def are_unmarked(self, records: sqlite3.Connection) -> bool:
        """Tell whether something lies below a resource that is being deleted and is not.

        Args:
            records: An open view of the records.
        """
        # The text is a constant of this module.
        query = f"SELECT 1 FROM resources WHERE {_UNMARKED} LIMIT 1"  # noqa: S608 - see above
        return records.execute(query).fetchone() is not None

    def mark(self, records: sqlite3.Connection) -> None:
        """Mark what lies below a resource that is being deleted, one level down.

        Args:
            records: The records, open for writing.
        """
        records.execute(
            f"UPDATE resources SET provisioning_state = 'deleting' WHERE {_UNMARKED}"  # noqa: S608  # as above
        )

    def to_end(self, records: sqlite3.Connection) -> list[str]:
        """Return the uids of the jobs that run and shall be deleted.

        Args:
            records: An open view of the records.
        """
        rows = records.execute(
            "SELECT uid FROM resources JOIN jobs USING (key) "
            "WHERE provisioning_state = 'deleting' "
            "AND execution_state IN ('running', 'terminating')"
        )
        return [row["uid"] for row in rows]

    def ready(self, records: sqlite3.Connection) -> list[Doomed]:
        """Return what can be removed.

        Args:
            records: An open view of the records.
        """
        rows = records.execute(_READY, (_AT_ONCE,))
        return [Doomed(row["key"], row["kind"], row["uid"]) for row in rows]

    def release(self, ready: Sequence[Doomed]) -> list[Doomed]:
        """Remove the folders of jobs.

        Args:
            ready: What can be removed.

        Returns:
            Those of which no folder is left.
        """
        released = []
        for doomed in ready:
            if doomed.job_uid is not None:
                try:
                    self._engine.release_job(doomed.job_uid)
                except EngineError as error:
                    _logger.warning("Job %s cannot be deleted yet: %s", doomed.key, error)
                    continue
            released.append(doomed)
        return released

    def record(self, records: sqlite3.Connection, released: Sequence[Doomed], now: str) -> None:
        """Remove resources from the records and close the operations that are about them.

        Args:
            records: The records, open for writing.
            released: What :meth:`release` returned.
            now: The present time, as records hold it.
        """
        records.executemany(
            "DELETE FROM resources WHERE key = ?", [(doomed.key,) for doomed in released]
        )
        records.executemany(
            "UPDATE operations SET status = 'Succeeded', ended_at = max(started_at, ?) "
            "WHERE resource_key = ? AND status = 'InProgress'",
            [(now, doomed.key) for doomed in released],
        )

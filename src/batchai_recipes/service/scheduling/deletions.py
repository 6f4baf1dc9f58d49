"""Deleting resources, children first, once nothing of them runs."""

import logging

from batchai_recipes.service.engines.engine import Engine, EngineError
from batchai_recipes.service.scheduling.ledger import Ledger

_logger = logging.getLogger(__name__)

# Neither children, nor nodes, nor a run of its own.
_READY = """
    SELECT key, kind, jobs.uid FROM resources LEFT JOIN jobs USING (key)
    WHERE provisioning_state = 'deleting'
      AND NOT EXISTS (SELECT * FROM resources AS child WHERE child.parent_key = resources.key)
      AND NOT EXISTS (SELECT * FROM nodes WHERE cluster_key = resources.key)
      AND coalesce(execution_state, '') NOT IN ('running', 'terminating')
"""


class Deletions:
    """Removes what is marked as deleting.

    Args:
        ledger: The records.
        engine: Holds the folders of jobs.
    """

    def __init__(self, ledger: Ledger, engine: Engine) -> None:
        self._ledger = ledger
        self._engine = engine

    def settle(self) -> bool:
        """Mark what lies below a resource that is being deleted, and remove what can go.

        Returns:
            Whether anything changed, so that looking again may be worth it.
        """
        changed = self._mark_children()
        with self._ledger.read() as records:
            ready = records.execute(_READY).fetchall()
        for row in ready:
            changed |= self._remove(row["key"], row["uid"])
        return changed

    def _mark_children(self) -> bool:
        unmarked = (
            "provisioning_state != 'deleting' AND parent_key IN "
            "(SELECT key FROM resources WHERE provisioning_state = 'deleting')"
        )
        with self._ledger.read() as records:
            # The text is a constant of this function.
            found = records.execute(f"SELECT 1 FROM resources WHERE {unmarked}").fetchone()  # noqa: S608
        if found is None:
            return False
        with self._ledger.write() as records:
            records.execute(
                f"UPDATE resources SET provisioning_state = 'deleting' WHERE {unmarked}"  # noqa: S608  # as above
            )
        return True

    def _remove(self, key: str, job_uid: str | None) -> bool:
        if job_uid is not None:
            try:
                self._engine.release_job(job_uid)
            except EngineError as error:
                _logger.warning("Job %s cannot be deleted yet: %s", key, error)
                return False
        with self._ledger.write() as records:
            records.execute("DELETE FROM resources WHERE key = ?", (key,))
            records.execute(
                "UPDATE operations SET status = 'Succeeded', ended_at = ? "
                "WHERE resource_key = ? AND status = 'InProgress'",
                (self._ledger.timestamp(), key),
            )
        return True

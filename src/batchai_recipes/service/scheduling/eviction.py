"""Taking a node from its cluster at once, as happens to those of low priority."""

import sqlite3

from batchai_recipes.service.scheduling.cluster_records import refresh_errors


def evict(records: sqlite3.Connection, node_id: str, now: str) -> None:
    """Take a node from its cluster; the job on it is queued again, and another node made.

    Args:
        records: The records, open for writing.
        node_id: The node; one that leaves already is left alone.
        now: The present time, as records hold it.
    """
    row = records.execute(
        "SELECT cluster_key FROM nodes WHERE id = ? AND state != 'leaving'", (node_id,)
    ).fetchone()
    if row is None:
        return
    records.execute(
        "UPDATE nodes SET state = 'leaving', state_at = ?, preempted = 1 WHERE id = ?",
        (now, node_id),
    )
    records.execute("UPDATE clusters SET unsettled = 1 WHERE key = ?", (row["cluster_key"],))
    refresh_errors(records, (row["cluster_key"],))

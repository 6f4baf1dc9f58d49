"""What the scheduler reads of clusters and their nodes."""

import json
import sqlite3
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from attrs import field, frozen

from batchai_recipes.service.engines.engine import Machine
from batchai_recipes.service.scheduling.autoscale import AutoScale, NodeCounts
from batchai_recipes.service.vm_sizes import vm_size


@frozen
class ClusterRecord:
    """A cluster as the records have it.

    Args:
        key: Its resource id in lower case.
        uid: What tells it from earlier clusters of the same name.
        deleting: Whether it shall be deleted.
        target: How many nodes it shall have.
        allocation_state: ``steady`` or ``resizing``.
        unsettled: Whether something that its size depends on has changed.
        properties: What a GET returns of it.
        secrets: Its secrets.
    """

    key: str
    uid: str
    deleting: bool
    target: int
    allocation_state: str
    unsettled: bool
    properties: Mapping[str, Any] = field(repr=False)
    secrets: Mapping[str, Any] = field(repr=False)

    @property
    def gpu_count(self) -> int:
        """How many GPUs each of its nodes asks for; one where its GPU size is not known."""
        name = str(self.properties.get("vmSize") or "")
        size = vm_size(name)
        if size is not None:
            return size.gpus
        return int(name.upper().startswith("STANDARD_N"))

    @property
    def machine(self) -> Machine:
        """What each of its nodes asks of the machine that it is made on."""
        size = vm_size(str(self.properties.get("vmSize") or ""))
        if size is None:
            return Machine(self.uid)
        return Machine(self.uid, size.cores, size.memory_gib)

    @property
    def auto_scale(self) -> AutoScale | None:
        """Its bounds where it scales by itself."""
        bounds = (self.properties.get("scaleSettings") or {}).get("autoScale")
        if not bounds or self.deleting:
            return None
        return AutoScale(bounds["minimumNodeCount"], bounds["maximumNodeCount"])

    @property
    def deallocation_option(self) -> str:
        """What becomes of jobs on nodes that it gives up."""
        manual = (self.properties.get("scaleSettings") or {}).get("manual") or {}
        return str(manual.get("nodeDeallocationOption") or "requeue")

    @property
    def low_priority(self) -> bool:
        """Whether its nodes may be preempted."""
        return self.properties.get("vmPriority") == "lowpriority"


def cluster_of(records: sqlite3.Connection, key: str) -> ClusterRecord | None:
    """Read a cluster.

    Args:
        records: An open view of the records.
        key: The cluster.

    Returns:
        The cluster, or None where there is none.
    """
    row = records.execute(
        "SELECT clusters.*, properties, secrets, provisioning_state "
        "FROM clusters JOIN resources USING (key) WHERE key = ?",
        (key,),
    ).fetchone()
    if row is None:
        return None
    deleting = row["provisioning_state"] == "deleting"
    return ClusterRecord(
        key=row["key"],
        uid=row["uid"],
        deleting=deleting,
        target=0 if deleting else row["target_nodes"],
        allocation_state=row["allocation_state"],
        unsettled=bool(row["unsettled"]),
        properties=_parsed(row["properties"]),
        secrets=_parsed(row["secrets"]),
    )


@lru_cache(maxsize=256)
def _parsed(text: str) -> Mapping[str, Any]:
    parsed: Mapping[str, Any] = json.loads(text)
    return parsed


def node_counts(records: sqlite3.Connection, cluster_key: str) -> NodeCounts:
    """Count the nodes of a cluster that do not leave it.

    Args:
        records: An open view of the records.
        cluster_key: The cluster.
    """
    rows = records.execute(
        "SELECT state, COUNT(*) AS count FROM nodes WHERE cluster_key = ? GROUP BY state",
        (cluster_key,),
    )
    counts = {row["state"]: int(row["count"]) for row in rows}
    return NodeCounts(
        working=counts.get("running", 0),
        ready=counts.get("idle", 0) + counts.get("preparing", 0),
        unusable=counts.get("unusable", 0),
    )


def refresh_errors(records: sqlite3.Connection, cluster_keys: Iterable[str]) -> None:
    """Let clusters report the errors of the nodes that are unusable now.

    Args:
        records: The records, open for writing.
        cluster_keys: The clusters.
    """
    for key in cluster_keys:
        rows = records.execute(
            "SELECT error FROM nodes WHERE cluster_key = ? AND state = 'unusable' ORDER BY rowid",
            (key,),
        )
        errors = json.dumps([json.loads(row["error"]) for row in rows])
        records.execute(
            "UPDATE clusters SET errors = ? WHERE key = ? AND errors != ?", (errors, key, errors)
        )

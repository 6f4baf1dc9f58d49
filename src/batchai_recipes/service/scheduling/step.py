"""One step of the scheduler: look, act through the engine, record it all at once."""

import sqlite3
from collections.abc import Sequence
from datetime import datetime, timedelta

from attrs import define, field

from batchai_recipes.service.clock import iso_timestamp
from batchai_recipes.service.engines.engine import Engine
from batchai_recipes.service.scheduling.agenda import Agenda, Matters
from batchai_recipes.service.scheduling.allocation import Allocation
from batchai_recipes.service.scheduling.cluster_records import (
    ClusterRecord,
    cluster_of,
)
from batchai_recipes.service.scheduling.deletions import Deletions, Doomed
from batchai_recipes.service.scheduling.eviction import evict
from batchai_recipes.service.scheduling.job_ends import record_changes
from batchai_recipes.service.scheduling.job_queue import JobQueue
from batchai_recipes.service.scheduling.job_runs import JobChange, JobRuns
from batchai_recipes.service.scheduling.job_volumes import JobVolumes
from batchai_recipes.service.scheduling.ledger import Ledger
from batchai_recipes.service.scheduling.node_life import NodeChange, NodeLife
from batchai_recipes.service.scheduling.node_volumes import NodeVolumes
from batchai_recipes.service.scheduling.preemption import Preemption
from batchai_recipes.service.scheduling.volume_folders import VolumeFolders
from batchai_recipes.service.scheduling.volume_places import VolumePlaces
from batchai_recipes.service.scheduling.volumes import Volumes

_CREATED = "status = 'InProgress' AND action = 'create'"
_UNSETTLED = "SELECT key FROM clusters WHERE unsettled = 1"


@define
class _Findings:
    """What a step has found and done, to be recorded."""

    jobs: Sequence[JobChange] = ()
    nodes: Sequence[NodeChange] = ()
    removed: Sequence[Doomed] = ()
    preempted: Sequence[str] = ()
    clusters: set[str] = field(factory=set)
    deleting: bool = False
    orphans: bool = False
    unrecorded: bool = False

    @property
    def go_on(self) -> bool:
        """Whether what was found gives more to do that is on no agenda."""
        # What has just ended, and what has just lost its last child, can be deleted now.
        deletable = self.jobs or self.nodes or self.removed
        return bool(self.orphans or (self.deleting and deletable))

    def __bool__(self) -> bool:
        return bool(
            self.jobs
            or self.nodes
            or self.removed
            or self.preempted
            or self.clusters
            or self.orphans
            or self.unrecorded
        )


class Step:
    """Takes steps.

    Args:
        ledger: The records.
        agenda: What to look at; what a step finds that needs another look goes there.
        engine: Where nodes are and processes run.
        volumes: Finds what nodes and jobs mount.
        places: Where what is no share of the service lies, if it mounts such.
        interpreter: The Python of jobs that name none.
        scale_down_after: How long a node of a cluster with automatic scale may do nothing.
        preemption: When low-priority nodes are taken away.
    """

    def __init__(
        self,
        *,
        ledger: Ledger,
        agenda: Agenda,
        engine: Engine,
        volumes: Volumes,
        places: VolumePlaces | None,
        interpreter: str,
        scale_down_after: timedelta,
        preemption: Preemption,
    ) -> None:
        self._ledger = ledger
        self._agenda = agenda
        self._preemption = preemption
        self._queue = JobQueue()
        self._allocation = Allocation(scale_down_after)
        self._deletions = Deletions(engine)
        self._places = places
        copies = None if places is None else places.state.volumes
        self._nodes = NodeLife(ledger, engine, NodeVolumes(engine, volumes, copies))
        self._runs = JobRuns(
            ledger, engine, JobVolumes(ledger, engine, volumes, copies), interpreter
        )

    def take(self) -> bool:
        """Take one step.

        Returns:
            Whether there is something to do for another.
        """
        now = self._ledger.now()
        self._agenda.due(now)
        matters = self._agenda.take()
        try:
            findings = self._look(matters, now)
            if findings:
                with self._ledger.write() as records:
                    self._record(records, findings, now)
                self._runs.release(findings.jobs)
            if matters.everything:
                self._runs.release_left_over()
            if matters.everything or findings.removed:
                self._remove_orphans()
        except BaseException:
            # What was taken from the agenda must not be lost.
            self._agenda.add_everything()
            raise
        return bool(self._agenda) or findings.go_on

    def _remove_orphans(self) -> None:
        """Remove the folders of what is no more."""
        if self._places is not None:
            VolumeFolders(self._ledger, self._places.state.volumes).remove_orphans()
            self._places.disks.remove_orphans()

    def _look(self, matters: Matters, now: datetime) -> _Findings:
        findings = _Findings(clusters=set(matters.clusters))
        ready: list[Doomed] = []
        with self._ledger.read() as records:
            self._complete(records, matters, findings)
            findings.unrecorded = self._is_unrecorded(records)
            if self._deletions.are_wanted(records):
                findings.deleting = True
                findings.orphans |= self._deletions.are_unmarked(records)
                matters.add(jobs=self._deletions.to_end(records))
                ready = self._deletions.ready(records)
        findings.jobs, failed_jobs = self._runs.advance(matters.jobs)
        findings.nodes, failed_nodes = self._nodes.advance(matters.nodes)
        findings.removed = self._deletions.release(ready)
        findings.preempted = self._preemption.due(now)
        self._agenda.postpone(
            jobs=failed_jobs, nodes=failed_nodes, deletions=len(findings.removed) < len(ready)
        )
        return findings

    def _complete(self, records: sqlite3.Connection, matters: Matters, findings: _Findings) -> None:
        """Add to what is known to have changed what the records say is to be done."""
        if matters.everything:
            findings.orphans = True
            findings.clusters.update(_column(records, "SELECT key FROM clusters"))
            self._watch_all(records)
        if matters.everything or matters.tasks:
            matters.add(
                jobs=_column(
                    records,
                    "SELECT uid FROM jobs WHERE execution_state IN ('running', 'terminating')",
                ),
                nodes=_column(
                    records, "SELECT id FROM nodes WHERE state IN ('preparing', 'leaving')"
                ),
            )
        matters.add(
            jobs=_column(
                records,
                "SELECT uid FROM jobs INDEXED BY jobs_to_end WHERE ended_at IS NULL "
                "AND termination_requested_at IS NOT NULL AND execution_state != 'queued'",
            )
        )

    def _watch_all(self, records: sqlite3.Connection) -> None:
        nodes = _column(
            records,
            "SELECT nodes.id FROM nodes JOIN resources ON resources.key = cluster_key "
            "WHERE json_extract(properties, '$.vmPriority') = 'lowpriority' AND state != 'leaving'",
        )
        self._preemption.watch(nodes, self._ledger.now())

    def _is_unrecorded(self, records: sqlite3.Connection) -> bool:
        """Tell whether something waits that takes no more than records."""
        (found,) = records.execute(
            f"SELECT EXISTS ({_UNSETTLED}) "  # noqa: S608  # a constant of this module
            "OR EXISTS (SELECT 1 FROM jobs INDEXED BY jobs_to_end WHERE ended_at IS NULL "
            "AND termination_requested_at IS NOT NULL AND execution_state = 'queued') "
            f"OR EXISTS (SELECT 1 FROM operations WHERE {_CREATED})"
        ).fetchone()
        return bool(found)

    def _record(self, records: sqlite3.Connection, findings: _Findings, now: datetime) -> None:
        timestamp = iso_timestamp(now)
        record_changes(records, findings.jobs, timestamp)
        self._nodes.record(records, findings.nodes)
        self._queue.fail_terminated(records, timestamp)
        for node_id in findings.preempted:
            evict(records, node_id, timestamp)
        if findings.orphans:
            self._deletions.mark(records)
            self._queue.fail_without_cluster(records, timestamp)
        over = [change.job for change in findings.jobs if change.outcome is not None]
        keys = findings.clusters | {job.cluster_key for job in over}
        keys |= {change.cluster_key for change in findings.nodes}
        keys |= {*_column(records, _UNSETTLED)}
        for key in sorted(keys):
            cluster = cluster_of(records, key)
            if cluster is not None:
                self._settle(records, cluster, now)
        self._deletions.record(records, findings.removed, timestamp)
        records.execute(
            "UPDATE operations SET status = 'Succeeded', ended_at = max(started_at, ?) "  # noqa: S608  # as above
            f"WHERE {_CREATED}",
            (timestamp,),
        )
        lost = [change.node_id for change in findings.nodes if change.lost]
        self._agenda.add(nodes=lost, jobs=self._jobs_on(records, lost))
        # Nodes of theirs that were told to leave, or that are lost, can go now.
        self._agenda.add(nodes=self._left(records, [n for job in over for n in job.node_ids]))

    def _settle(self, records: sqlite3.Connection, cluster: ClusterRecord, now: datetime) -> None:
        """Bring a cluster to its size and give its nodes to the jobs in line."""
        timestamp = iso_timestamp(now)
        if cluster.deleting:
            self._queue.fail_all(records, cluster.key, timestamp)
        made: tuple[str, ...] = ()
        if cluster.unsettled or cluster.allocation_state == "resizing":
            resized = self._allocation.resize(records, cluster, now)
            made = resized.made
            self._agenda.add(nodes=resized.leaving, jobs=resized.jobs)
        if not cluster.deleting:
            self._agenda.add(jobs=self._queue.place(records, cluster, timestamp))
        auto_scale = cluster.auto_scale
        again_at = None
        if auto_scale is not None:
            scaling = self._allocation.scale(records, cluster, auto_scale, now)
            made += scaling.made
            again_at = scaling.again_at
            self._agenda.add(nodes=scaling.leaving)
        self._agenda.appoint(cluster.key, again_at)
        self._agenda.add(nodes=made)
        if cluster.low_priority:
            self._preemption.watch(made, now)
        records.execute(
            "UPDATE clusters SET unsettled = 0 WHERE key = ? AND unsettled = 1", (cluster.key,)
        )

    def _jobs_on(self, records: sqlite3.Connection, node_ids: Sequence[str]) -> list[str]:
        return [
            row["uid"]
            for node_id in node_ids
            for row in records.execute(
                "SELECT uid FROM nodes JOIN jobs ON jobs.key = job_key WHERE nodes.id = ?",
                (node_id,),
            )
        ]

    def _left(self, records: sqlite3.Connection, node_ids: Sequence[str]) -> list[str]:
        found = []
        for node_id in node_ids:
            row = records.execute("SELECT state FROM nodes WHERE id = ?", (node_id,)).fetchone()
            if row is not None and row["state"] in {"leaving", "unusable"}:
                found.append(node_id)
        return found


def _column(records: sqlite3.Connection, query: str) -> list[str]:
    return [row[0] for row in records.execute(query)]

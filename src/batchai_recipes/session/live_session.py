"""LiveSession: what there is of a session while it is entered, and its end."""

import threading
from collections.abc import Callable, Sequence

from batchai_recipes.builders.cluster import ClusterBuilder
from batchai_recipes.builders.job import JobBuilder
from batchai_recipes.connection import Connection
from batchai_recipes.errors import BatchAIRecipesError, ClusterError
from batchai_recipes.pacing import Pacing
from batchai_recipes.session.blueprint import Blueprint
from batchai_recipes.session.clean_up_policy import CleanUpPolicy
from batchai_recipes.session.cluster_limits import ClusterLimits
from batchai_recipes.session.cluster_state import ClusterState
from batchai_recipes.session.existing_cluster import check_mounts, mounts_of
from batchai_recipes.session.journal import Journal
from batchai_recipes.session.lease_holder import LeaseHolder
from batchai_recipes.session.provisioning import Provisioning
from batchai_recipes.session.session_clusters import SessionClusters
from batchai_recipes.session.undo import UndoStack
from batchai_recipes.session.watcher import Watcher
from batchai_recipes.staging.file_share_staging import FileShareStaging
from batchai_recipes.staging.staged_manifest import StagedManifest


class LiveSession:
    """Provisions in order, and deletes at the end what the policy does not keep.

    Args:
        connection: Where everything is.
        blueprint: The session's id and names, and the parameters of its requests.
        clusters: The clusters.
        journal: Where what is made is written down.
        report: Told, line by line, what happens.
        lease: The session's lease.
        stagings: What to stage, each to a share of its own.
        pacing: How often to look while waiting, and the clock of the session.
        limits: How long clusters may stay.
        use_existing: Whether what exists under the same names is used as it is.
    """

    def __init__(
        self,
        connection: Connection,
        blueprint: Blueprint,
        clusters: SessionClusters,
        journal: Journal,
        report: Callable[[str], None],
        *,
        lease: LeaseHolder,
        stagings: Sequence[FileShareStaging],
        pacing: Pacing,
        limits: ClusterLimits,
        use_existing: bool,
    ) -> None:
        self.connection = connection
        self.clusters = clusters
        self.report = report
        self.staged: StagedManifest | None = None
        self.job_names: list[str] = []
        self._stagings = stagings
        self._pacing = pacing
        self._journal = journal
        self._undo = UndoStack(report)
        self._lock = threading.Lock()  # no cluster is retired while a job is submitted to it
        self._retired: dict[str, str] = {}
        self.lease = lease
        self.blueprint = blueprint
        self.provisioning = Provisioning(
            connection,
            blueprint,
            self._undo,
            journal,
            report,
            clock=lease.clock,
            use_existing=use_existing,
        )
        self._watcher = Watcher(
            limits,
            renew=lambda: self.lease.renew(journal.made),
            busy=self._is_busy,
            retire=self._retire,
            report=report,
            monotonic=pacing.monotonic,
        )

    def provision(self, ready_timeout: float | None) -> None:
        """Make everything but jobs.

        Args:
            ready_timeout: How long to wait for each cluster, in seconds; None for ever.
        """
        self.provisioning.create_resource_group()
        self.provisioning.create_workspace()
        self._watcher.start()
        for staging in self._stagings:
            staged = self.provisioning.stage(staging)
            self.staged = self.staged or staged
        for cluster in self.clusters:
            if self.provisioning.create_cluster(cluster):
                self._watcher.watch(cluster.name)
            else:
                self._adopt(cluster)
        for cluster in self.clusters:
            self.provisioning.wait_for_cluster(cluster.name, self._pacing, ready_timeout)
        self.provisioning.create_experiment()

    def create_job(self, job: JobBuilder, cluster: ClusterBuilder) -> None:
        """Make a job.

        Args:
            job: The job.
            cluster: The cluster that it runs on.

        Raises:
            ClusterError: The cluster was deleted since it idled or lived too long.
        """
        with self._lock:
            if cluster.name in self._retired:
                raise ClusterError(
                    f"Cluster {cluster.name} was deleted: {self._retired[cluster.name]}"
                )
            self.provisioning.create_job(job.name, self.blueprint.job(job, cluster))
            self.job_names.append(job.name)

    def end(self, policy: CleanUpPolicy, *, succeeded: bool) -> tuple[Exception, ...]:
        """Delete what was made, newest first, less what the policy keeps.

        Args:
            policy: What to keep.
            succeeded: Whether the session's block ended without an exception.

        Returns:
            What the failed deletions raised.
        """
        self._watcher.stop()
        kept = [one for one in self._journal.made if policy.keeps(one, succeeded=succeeded)]
        for made in kept:
            self._journal.keep(made)
            self._undo.drop(str(made))
        failures = self._undo.unwind()
        if kept:
            try:
                self.lease.hand_over(tuple(kept), None)
            except BatchAIRecipesError as error:
                self.report(f"What is kept may be reaped from other machines: {error}")
            what = ", ".join(map(str, kept))
            self.report(f"Kept {what}; delete with: {self.provisioning.reap_command}")
        self._journal.close()
        return failures

    def _adopt(self, cluster: ClusterBuilder) -> None:
        there = mounts_of(self.provisioning.cluster(cluster.name), self.connection.storage.name)
        check_mounts(cluster, there)
        if not cluster.mounts:
            self.clusters.mounting(cluster.name, there)

    def _is_busy(self, cluster: str) -> bool:
        state = ClusterState.of(self.provisioning.cluster(cluster))
        return not state.settled or bool(self.provisioning.unended_jobs(cluster))

    def _retire(self, cluster: str, reason: str) -> None:
        with self._lock:
            self.report(f"Deleting cluster {cluster}: {reason}")
            self.provisioning.terminate_jobs(cluster)
            self.provisioning.retire_cluster(cluster)
            self._retired[cluster] = reason

"""LiveSession: what there is of a session while it is entered, and its end."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from batchai_recipes.builders.cluster import ClusterBuilder
from batchai_recipes.builders.cluster_limits import ClusterLimits
from batchai_recipes.builders.job import JobBuilder
from batchai_recipes.concurrency import concurrency_of
from batchai_recipes.connection import Connection
from batchai_recipes.pacing import Pacing
from batchai_recipes.runs.job_place import JobPlace
from batchai_recipes.runs.job_run import JobRun
from batchai_recipes.session.blueprint import Blueprint
from batchai_recipes.session.clean_up_policy import CleanUpPolicy
from batchai_recipes.session.cluster_age import seconds_since_made
from batchai_recipes.session.cluster_retirement import ClusterRetirement
from batchai_recipes.session.existing_cluster import check_mounts, mounts_of
from batchai_recipes.session.hand_over import HandOver, time_of
from batchai_recipes.session.journal import Journal
from batchai_recipes.session.lease_holder import LeaseHolder
from batchai_recipes.session.made import Made
from batchai_recipes.session.provisioning import Provisioning
from batchai_recipes.session.run_folder import RunFolder
from batchai_recipes.session.session_clusters import SessionClusters
from batchai_recipes.session.undo import UndoStack
from batchai_recipes.session.watcher import Watcher
from batchai_recipes.staging.file_share_staging import FileShareStaging
from batchai_recipes.staging.staged_manifest import StagedManifest

if TYPE_CHECKING:
    from azure.mgmt.batchai.models import Cluster


class LiveSession:
    """Provisions in order, and deletes at the end what the policy does not keep.

    Args:
        connection: Where everything is.
        blueprint: The session's id and names, and the parameters of its requests.
        clusters: The clusters.
        journal: Where what is made is written down.
        folder: The session's run folder, which is told what happens.
        lease: The session's lease.
        stagings: What to stage, each to a share of its own.
        mounted: Shares that clusters mount and nothing is staged to.
        pacing: How often to look while waiting, and the clock of the session.
        limits: How long clusters may stay, by their names.
        use_existing: Whether what exists under the same names is used as it is.
        deadline: When the session ends that was detached and is taken up now; None for others.
        kept: What of a session that is taken up now was left on purpose.
    """

    def __init__(
        self,
        connection: Connection,
        blueprint: Blueprint,
        clusters: SessionClusters,
        journal: Journal,
        folder: RunFolder,
        *,
        lease: LeaseHolder,
        stagings: Sequence[FileShareStaging],
        mounted: Sequence[str] = (),
        pacing: Pacing,
        limits: Mapping[str, ClusterLimits],
        use_existing: bool,
        deadline: datetime | None = None,
        kept: tuple[Made, ...] = (),
    ) -> None:
        self.connection = connection
        self.clusters = clusters
        self.folder = folder
        self.staged: StagedManifest | None = None
        self.job_names: list[str] = []
        self._stagings = stagings
        self._mounted = mounted
        self._pacing = pacing
        self._journal = journal
        self._undo = UndoStack(folder.report)
        self.deadline = deadline
        self._kept = kept
        self._is_detached = deadline is not None  # until it is taken up
        self._use_existing = use_existing
        self.lease = lease
        self.blueprint = blueprint
        self.provisioning = Provisioning(
            connection,
            blueprint,
            self._undo,
            journal,
            folder,
            clock=lease.clock,
            pacing=pacing,
            use_existing=use_existing,
        )
        self.cluster_jobs = self.provisioning.cluster_jobs
        self._retirement = ClusterRetirement(self.provisioning, folder)
        self._hand_over = HandOver(connection, blueprint.session, journal, folder, lease=lease)
        self._watcher = Watcher(
            limits,
            renew=lambda: self.lease.renew(journal.made),
            busy=self._retirement.is_busy,
            retire=self._retirement.retire,
            warn=folder.warn,
            report=folder.report,
            monotonic=pacing.monotonic,
            concurrency=concurrency_of(connection),
        )

    def provision(self, ready_timeout: float | None) -> None:
        """Make everything but jobs.

        Args:
            ready_timeout: How long to wait for each cluster, in seconds; None for ever.
        """
        self.provisioning.create_resource_group()
        self._note_versions()
        self.provisioning.create_workspace()
        self._watcher.start()
        manifests = [self.provisioning.stage(staging) for staging in self._stagings]
        if manifests:
            self.staged = manifests[0]
            self.folder.staged(manifests)
        # Before the clusters: who has made them may end, and delete the shares, in between.
        more = self._mounted_there() if self._use_existing else []
        self.lease.add_shares(f"{self.connection.storage.name}/{share}" for share in more)
        for share in (*self._mounted, *more):
            self.provisioning.use_share(share)
        for cluster in self.clusters:
            if self.provisioning.create_cluster(cluster):
                self._watcher.watch(cluster.name)
            else:
                self._adopt(cluster, self.cluster_jobs.cluster(cluster.name))
        for cluster in self.clusters:
            self.provisioning.wait_for_cluster(cluster.name, ready_timeout)
        self.provisioning.create_experiment()

    def _mounted_there(self) -> list[str]:
        """Return the further shares of clusters that are there, so that they stay as long."""
        known = {*self._mounted, *(staging.share for staging in self._stagings)}
        shares = self.cluster_jobs.mounted_shares(self.clusters.names)
        return [share for share in shares if share not in known]

    def create_job(self, job: JobBuilder, cluster: ClusterBuilder) -> None:
        """Make a job.

        Args:
            job: The job.
            cluster: The cluster that it runs on.

        Raises:
            ClusterError: The cluster was deleted since it idled or lived too long.
        """
        with self._retirement.in_use(cluster.name):
            parameters = self.blueprint.job(job, cluster)
            self.folder.asked("job", job)
            self.provisioning.create_job(job.name, parameters)
            self.job_names.append(job.name)
        self._tell_of_too_few_nodes(job, cluster)

    def _tell_of_too_few_nodes(self, job: JobBuilder, cluster: ClusterBuilder) -> None:
        """Say why a job will not start; what somebody else made may have been scaled since."""
        most = cluster.scale.most_nodes
        if job.node_count > most and self.provisioning.has_made(cluster.name):
            self.folder.report(
                f"Job {job.name} waits until cluster {cluster.name} is scaled: it runs on "
                f"{job.node_count} nodes, and there are {most} at most"
            )

    def take_up(self) -> None:
        """Go on with what the session's journal names, as it is.

        Raises:
            BatchAIRecipesError: The service did not answer, or a cluster or the workspace is gone.
        """
        self._note_versions()
        try:
            self.lease.renew(self._journal.made)
            for cluster in self.clusters:
                self._take_up_cluster(cluster)
        except BaseException:
            self._hand_over.again(self.deadline, self._kept)
            raise
        self._is_detached = False
        for made in reversed(self._journal.made):
            self.provisioning.arrange_deletion(made)
            if made.kind == "job":
                self.job_names.append(made.names[-1])
        self._watcher.start()

    def _note_versions(self) -> None:
        """Write down what the session runs with, now that the service has answered."""
        endpoint, embedded = self.blueprint.settings.endpoint, self.connection.state_dir is not None
        self.folder.versions(endpoint, embedded=embedded, server=self.lease.clock.server)

    def detach(self, until: datetime | timedelta) -> datetime:
        """Let everything stay until a deadline when the session ends.

        Args:
            until: The deadline, or how long from now.

        Returns:
            The deadline, by the service's clock.

        Raises:
            ConfigurationError: That is too long for a time.
            RequestError: The service refused or did not answer.
        """
        deadline = time_of(until, self.lease.clock.now())
        self._watcher.stop()
        try:
            self._hand_over.until(deadline)
        except BaseException:
            self._watcher.renew_soon()  # a part of it may have been handed over
            self._watcher.start()
            raise
        self.deadline, self._is_detached = deadline, True
        return deadline

    def end(self, policy: CleanUpPolicy, error: BaseException | None) -> tuple[Exception, ...]:
        """Delete what was made, newest first, less what the policy keeps.

        Args:
            policy: What to keep.
            error: What ended the session's block; None for its own end.

        Returns:
            What the failed deletions raised.
        """
        self._watcher.stop()
        result = self._result(error)
        failures: tuple[Exception, ...] = ()
        if self._is_detached:
            self._hand_over.leave(self.deadline)
        else:
            failures = self._delete(policy, succeeded=error is None)
        left = [str(made) for made in self._journal.made]
        unfinished = [str(failure) for failure in failures]
        self.folder.result({**result, "left": left, "failed_deletions": unfinished})
        return failures

    def _delete(self, policy: CleanUpPolicy, *, succeeded: bool) -> tuple[Exception, ...]:
        kept = [one for one in self._journal.made if policy.keeps(one, succeeded=succeeded)]
        for made in kept:
            self._journal.keep(made)
            self._undo.drop(str(made))
        failures = self._undo.unwind()
        if kept:
            self._hand_over.for_good(tuple(kept))
            what = ", ".join(map(str, kept))
            self.folder.report(f"Kept {what}; delete with: {self.provisioning.reap_command}")
        self._journal.close()
        return failures

    def run(self, job: str) -> JobRun:
        """Return the run of a job of the session.

        Args:
            job: The job's name.
        """
        place = JobPlace(*self.blueprint.names.job_place(job))
        return JobRun(self.connection, place, report=self.folder.report, pacing=self._pacing)

    def _result(self, error: BaseException | None) -> dict[str, object]:
        """Write down how the jobs stand before they are deleted, and say how the block ended."""
        ended = f"{type(error).__name__}: {error}" if error else None
        jobs = [self._end_of(name) for name in self.job_names]
        deadline = self.deadline if self._is_detached else None
        return {
            "session": self.blueprint.session,
            "succeeded": error is None,
            "error": ended,
            "detached_until": deadline.isoformat() if deadline else None,
            "jobs": jobs,
        }

    def _end_of(self, job: str) -> dict[str, object]:
        try:
            return self.folder.job(self.run(job))
        except Exception as error:  # noqa: BLE001 - whatever it is, what was made must be deleted
            self.folder.warn(f"How job {job} ended could not be written down: {error!r}")
            return {"job": job, "error": repr(error)}

    def _take_up_cluster(self, cluster: ClusterBuilder) -> None:
        limited = cluster.limits.shortest is not None
        ask = self.cluster_jobs.find if limited else self.cluster_jobs.cluster
        found = ask(cluster.name)
        if found is None:
            self.clusters.drop(cluster.name)
            self.folder.warn(
                f"Cluster {cluster.name} is gone: it has reached a limit ({cluster.limits}), or "
                f"somebody has deleted it; its jobs and what they wrote are there"
            )
            return
        self._adopt(cluster, found)
        if self.provisioning.has_made(cluster.name):
            lived = seconds_since_made(found, self.lease.clock.now())
            self._watcher.watch(cluster.name, lived)

    def _adopt(self, cluster: ClusterBuilder, found: "Cluster") -> None:
        there = mounts_of(found, self.connection.storage.name)
        check_mounts(cluster, there)
        if not cluster.mounts:
            self.clusters.mounting(cluster.name, there)

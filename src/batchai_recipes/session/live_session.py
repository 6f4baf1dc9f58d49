"""LiveSession: what there is of a session while it is entered, and its end."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from batchai_recipes.builders.cluster import ClusterBuilder
from batchai_recipes.builders.cluster_limits import ClusterLimits
from batchai_recipes.builders.job import JobBuilder
from batchai_recipes.concurrency import concurrency_of
from batchai_recipes.connection import Connection
from batchai_recipes.errors import BatchAIRecipesError, ClusterError
from batchai_recipes.pacing import Pacing
from batchai_recipes.runs.job_place import JobPlace
from batchai_recipes.runs.job_run import JobRun
from batchai_recipes.session.blueprint import Blueprint
from batchai_recipes.session.clean_up_policy import CleanUpPolicy
from batchai_recipes.session.cluster_state import ClusterState
from batchai_recipes.session.existing_cluster import check_mounts, mounts_of
from batchai_recipes.session.journal import Journal
from batchai_recipes.session.keeper import start_keeper
from batchai_recipes.session.lease_holder import LeaseHolder
from batchai_recipes.session.provisioning import Provisioning
from batchai_recipes.session.run_folder import RunFolder
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
        folder: The session's run folder, which is told what happens.
        lease: The session's lease.
        stagings: What to stage, each to a share of its own.
        mounted: Shares that clusters mount and nothing is staged to.
        pacing: How often to look while waiting, and the clock of the session.
        limits: How long clusters may stay that say nothing of it themselves.
        use_existing: Whether what exists under the same names is used as it is.
        deadline: When the session ends that was detached and is taken up now; None for others.
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
        limits: ClusterLimits,
        use_existing: bool,
        deadline: datetime | None = None,
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
        self._lock = concurrency_of(connection).slots(
            1
        )  # no cluster is retired while a job is submitted to it
        self._retired: dict[str, str] = {}
        self._deadline = deadline
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
        self._watcher = Watcher(
            {cluster.name: cluster.limits.or_else(limits) for cluster in clusters},
            renew=lambda: self.lease.renew(journal.made),
            busy=self._is_busy,
            retire=self._retire,
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
        for share in self._mounted:
            self.provisioning.use_share(share)
        for cluster in self.clusters:
            if self.provisioning.create_cluster(cluster):
                self._watcher.watch(cluster.name)
            else:
                self._adopt(cluster)
        for cluster in self.clusters:
            self.provisioning.wait_for_cluster(cluster.name, ready_timeout)
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
            parameters = self.blueprint.job(job, cluster)
            self.folder.asked("job", job)
            self.provisioning.create_job(job.name, parameters)
            self.job_names.append(job.name)

    def take_up(self) -> None:
        """Go on with what the session's journal names, as it is.

        Raises:
            BatchAIRecipesError: The service did not answer, or a cluster or the workspace is gone.
        """
        deadline = self._deadline
        self._note_versions()
        try:
            self.lease.renew(self._journal.made)
            for cluster in self.clusters:
                self._adopt(cluster)
                self._watcher.watch(cluster.name)
        except BaseException:
            if deadline:
                self._leave_detached(deadline)
            raise
        self._deadline = None
        for made in reversed(self._journal.made):
            self.provisioning.arrange_deletion(made)
            if made.kind == "job":
                self.job_names.append(made.names[-1])
        self._watcher.start()

    def _note_versions(self) -> None:
        """Write down what the session runs with, now that the service has answered."""
        endpoint, embedded = self.blueprint.settings.endpoint, self.connection.state_dir is not None
        self.folder.versions(endpoint, embedded=embedded, server=self.lease.clock.server)

    def _leave_detached(self, deadline: datetime) -> None:
        """Leave a session that could not be taken up as it was."""
        self._journal.detach(deadline)
        try:
            self.lease.hand_over(self._journal.made, deadline)
        except BatchAIRecipesError as error:
            self.folder.report(f"Session {self.blueprint.session} may be reaped early: {error}")

    def detach(self, until: datetime | timedelta) -> datetime:
        """Let everything stay until a deadline when the session ends.

        Args:
            until: The deadline, or how long from now.

        Returns:
            The deadline, by the service's clock.

        Raises:
            RequestError: The service refused or did not answer.
        """
        deadline = until if isinstance(until, datetime) else self.lease.clock.now() + until
        self._watcher.stop()
        self.lease.hand_over(self._journal.made, deadline)
        self._journal.detach(deadline)
        self._deadline = deadline
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
        if self._deadline:
            self._leave()
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
            try:
                self.lease.hand_over(tuple(kept), None)
            except BatchAIRecipesError as error:
                self.folder.report(f"What is kept may be reaped from other machines: {error}")
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
        jobs = [self.folder.job(self.run(name)) for name in self.job_names]
        return {
            "session": self.blueprint.session,
            "succeeded": error is None,
            "error": ended,
            "detached_until": self._deadline.isoformat() if self._deadline else None,
            "jobs": jobs,
        }

    def _leave(self) -> None:
        session, state_dir = self.blueprint.session, self.connection.state_dir
        self._journal.close()
        self.folder.report(
            f"Detached session {session} until {self._deadline}; take it up with "
            f"TrainingSession.attach({session!r})"
        )
        if state_dir:
            aside = concurrency_of(self.connection).aside
            aside(start_keeper, state_dir, self.connection.journals, session)

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
            self.folder.report(f"Deleting cluster {cluster}: {reason}")
            self.provisioning.terminate_jobs(cluster)
            self.provisioning.retire_cluster(cluster)
            self._retired[cluster] = reason

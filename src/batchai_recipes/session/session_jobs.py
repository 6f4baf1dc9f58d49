"""What one does with the clusters of a session that has been entered: the verbs for jobs."""

from abc import abstractmethod
from collections.abc import Iterable

from batchai_recipes.builders.job import JobBuilder
from batchai_recipes.pacing import Pacing
from batchai_recipes.runs.job_run import JobRun
from batchai_recipes.session.cluster_state import ClusterState
from batchai_recipes.session.job_map import MAX_PARALLEL, JobMap, MapOrder, checked_job
from batchai_recipes.session.live_session import LiveSession
from batchai_recipes.session.session_options import SessionOptions
from batchai_recipes.session.session_view import SessionView


class SessionJobs(SessionView):
    """The part of :class:`TrainingSession` that submits jobs.

    Args:
        options: What was asked.
        pacing: How often to look while waiting.
    """

    def __init__(self, options: SessionOptions, pacing: Pacing) -> None:
        super().__init__(options)
        self._pacing = pacing

    @abstractmethod
    def _active(self) -> LiveSession:
        """Return what lives while the session is entered, or raise that it is not."""

    @abstractmethod
    def _unended(self) -> LiveSession:
        """Return the same, or raise that the session has ended."""

    def submit(self, job: JobBuilder, *, cluster: str | None = None) -> JobRun:
        """Create a job on a cluster of the session; it starts as soon as its nodes are free.

        Args:
            job: The job to create.
            cluster: The name of the cluster to run on; None for the only one.

        Returns:
            The submitted job, to wait for, stream from and download from.

        Raises:
            ConfigurationError: The job is no builder or does not fit the cluster, or the cluster is
                none of the session's, or there are several and none is named.
            RequestError: The service refused it, for one because a job of the name exists.
        """
        live = self._unended()
        live.create_job(checked_job(job), live.clusters.pick(cluster))
        return live.run(job.name)

    def map(
        self,
        jobs: Iterable[JobBuilder],
        *,
        cluster: str | None = None,
        max_parallel: int = MAX_PARALLEL,
        order: MapOrder = "submitted",
    ) -> JobMap:
        """Run many jobs, so many at a time, and give the run of each when it has succeeded.

        The first are submitted now, each further one when another has ended, while the result is
        iterated over. A job that fails stops no other: all failures are raised together, after
        the last run.

        Args:
            jobs: The jobs, each with a name of its own.
            cluster: The name of the cluster to run on; None for the only one.
            max_parallel: How many may be submitted and not ended at a time, 1 or more.
            order: ``submitted`` gives the runs in the order of the jobs, ``completed`` as they end.

        Returns:
            An iterator over the runs, each succeeded.

        Raises:
            ConfigurationError: Two jobs have one name, the cluster is none of the session's, or an
                option is not allowed.
            JobsFailedError: While iterating, at the end: some jobs failed or were refused. The
                group has a JobFailedError or RequestError for each.
        """
        live = self._unended()
        live.clusters.pick(cluster)
        return JobMap(
            jobs,
            lambda job: self.submit(job, cluster=cluster),
            max_parallel=max_parallel,
            order=order,
            pacing=self._pacing,
        )

    def cluster_state(self, cluster: str | None = None) -> ClusterState:
        """Ask the service for the present state of a cluster of the session.

        Args:
            cluster: The cluster's name; None for the only one.

        Raises:
            ConfigurationError: The cluster is none of the session's, or there are several and none
                is named.
            RequestError: The service did not answer.
        """
        live = self._active()
        name = live.clusters.pick(cluster).name
        return ClusterState.of(live.cluster_jobs.cluster(name))

    def runs(self) -> tuple[JobRun, ...]:
        """Return the runs of all jobs that the session has submitted, the oldest first."""
        live = self._active()
        return tuple(live.run(name) for name in live.job_names)

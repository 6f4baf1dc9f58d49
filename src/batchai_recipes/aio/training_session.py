"""TrainingSession, for coroutines: the same steps and the same clean-up, also when cancelled."""

import asyncio
import os
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType

from typing_extensions import Self

from batchai_recipes.aio.connection import Connection
from batchai_recipes.aio.job_run import JobRun
from batchai_recipes.aio.worker import Worker, in_thread
from batchai_recipes.builders.cluster import ClusterBuilder
from batchai_recipes.builders.job import JobBuilder
from batchai_recipes.errors import BatchAIRecipesError, ConfigurationError, JobsFailedError
from batchai_recipes.pacing import Pacing
from batchai_recipes.runs.job_place import JobPlace
from batchai_recipes.session.clean_up_policy import CleanUp
from batchai_recipes.session.cluster_state import ClusterState
from batchai_recipes.session.job_map import MAX_PARALLEL, MapOrder
from batchai_recipes.session.session_names import SessionNames
from batchai_recipes.session.session_plan import SessionPlan
from batchai_recipes.session.signals import TerminationSignals
from batchai_recipes.session.training_session import TrainingSession as Synchronous
from batchai_recipes.session.undo import logger
from batchai_recipes.staging.file_share_staging import FileShareStaging
from batchai_recipes.staging.staged_manifest import StagedManifest


class TrainingSession:
    """Clusters to run jobs on, from nothing and back to nothing, for coroutines.

    Takes what :class:`batchai_recipes.TrainingSession` takes and does what it does, in a thread of
    its own. When the task is cancelled, on Ctrl-C and on SIGTERM, what was made is deleted before
    the cancellation goes on; a second one changes nothing about it.

    Args:
        clusters: The clusters to make, at least one.
        staging: What to put on a file share first.
        connection: Where to make them, entered; None for :meth:`Connection.default`.
        resource_group: As of :class:`batchai_recipes.TrainingSession`, like all that follow.
        workspace: Likewise.
        experiment: Likewise.
        location: Likewise.
        use_existing: Likewise.
        clean_up: Likewise.
        keep_outputs: Likewise.
        idle_timeout: Likewise.
        max_lifetime: Likewise.
        ready_timeout: Likewise.
        run_folder: Likewise.
        report: Likewise; called in the session's thread.
        pacing: Likewise.

    Raises:
        ConfigurationError: A name or an option is not allowed, or no cluster is given.
        BatchAIRecipesError: On entering: something could not be made. What was made is deleted.
        CleanUpError: On leaving: something could not be deleted, and the block itself was fine.

    Example:
        >>> import asyncio, tempfile
        >>> from pathlib import Path
        >>> from batchai_recipes import ClusterBuilder, CustomJobBuilder, FileShareStaging
        >>> from batchai_recipes.aio import Connection, TrainingSession
        >>> share = FileShareStaging("demo")
        >>> cluster = ClusterBuilder("mycluster").vm_size("STANDARD_NC6").mount(share, at="share")
        >>> async def main(folder):
        ...     async with Connection.embedded(Path(folder)) as connection:
        ...         async with TrainingSession(
        ...             cluster, staging=share, connection=connection
        ...         ) as session:
        ...             run = await session.submit(CustomJobBuilder("j").command_line("echo hello"))
        ...             async for line in run.stream():
        ...                 print(line)
        ...             await run.wait()
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     asyncio.run(main(folder))
        hello
    """

    def __init__(
        self,
        *clusters: ClusterBuilder,
        staging: FileShareStaging | Sequence[FileShareStaging] | None = None,
        connection: Connection | None = None,
        resource_group: str | None = None,
        workspace: str | None = None,
        experiment: str | None = None,
        location: str | None = None,
        use_existing: bool = False,
        clean_up: CleanUp = "always",
        keep_outputs: bool = False,
        idle_timeout: float | None = None,
        max_lifetime: float | None = None,
        ready_timeout: float | None = None,
        run_folder: str | os.PathLike[str] | None = None,
        report: Callable[[str], None] | None = None,
        pacing: Pacing | None = None,
    ) -> None:
        self._pacing = pacing or Pacing()
        self._worker = Worker("batchai-session", self._pacing)
        self._connection = connection
        self._report = report or logger.info
        self._session = Synchronous(
            *clusters,
            staging=staging,
            connection=connection.synchronous if connection else None,
            resource_group=resource_group,
            workspace=workspace,
            experiment=experiment,
            location=location,
            use_existing=use_existing,
            clean_up=clean_up,
            keep_outputs=keep_outputs,
            idle_timeout=idle_timeout,
            max_lifetime=max_lifetime,
            ready_timeout=ready_timeout,
            run_folder=run_folder,
            report=report,
            pacing=self._worker.pacing,
        )
        self._signals = TerminationSignals(self._report)
        self._own_clients: Connection | None = None

    async def __aenter__(self) -> Self:
        entered: list[Synchronous] = []
        self._signals.start()
        try:
            await self._worker.call(lambda: entered.append(self._session.__enter__()))
            if self._connection is None:
                used = self._session._active().connection
                self._own_clients = await Connection._of(lambda: used).__aenter__()
        except BaseException as error:
            await self._end(error, entered=bool(entered))
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._end(error, entered=True)

    @property
    def id(self) -> str:
        """The session's id."""
        return self._session.id

    @property
    def names(self) -> SessionNames:
        """What everything is called."""
        return self._session.names

    @property
    def run_folder(self) -> Path | None:
        """The folder in which the session leaves what explains it."""
        return self._session.run_folder

    @property
    def staged(self) -> StagedManifest | None:
        """What the session's staging put on its share, or found there unchanged."""
        return self._session.staged

    async def plan(self, *jobs: JobBuilder, cluster: str | None = None) -> SessionPlan:
        """Show what the session would make, the very bodies of its requests, and make nothing.

        Args:
            jobs: Jobs that would be submitted.
            cluster: The name of the cluster to run them on; None for the only one.
        """
        return await in_thread(self._session.plan, *jobs, cluster=cluster)

    async def detach(self, deadline: datetime | timedelta) -> None:
        """Hand the session over to the service: nothing is deleted when the block ends.

        Args:
            deadline: Until when the session stays, or for how long from now.
        """
        await self._worker.call(self._session.detach, deadline)

    @classmethod
    def attach(
        cls,
        id: str,  # noqa: A002 - the word of :attr:`id`
        *,
        connection: Connection | None = None,
        clean_up: CleanUp = "always",
        keep_outputs: bool = False,
        report: Callable[[str], None] | None = None,
        pacing: Pacing | None = None,
    ) -> "TrainingSession":
        """Take a session up again that was detached; entering what is returned takes it over.

        Args:
            id: The session's id.
            connection: Where it is, entered; None for :meth:`Connection.default`.
            clean_up: When to delete what was made.
            keep_outputs: Whether the share stays.
            report: Told, line by line, what happens.
            pacing: How often to look while waiting.

        Raises:
            ConfigurationError: There is no such session.
        """
        worker = Worker("batchai-session", pacing)
        found = Synchronous.attach(
            id,
            connection=connection.synchronous if connection else None,
            clean_up=clean_up,
            keep_outputs=keep_outputs,
            report=report,
            pacing=worker.pacing,
        )
        session = cls(*map(ClusterBuilder, found.names.clusters), connection=connection)
        session._worker.close()
        session._worker, session._session = worker, found
        session._pacing = pacing or session._pacing
        session._report = report or session._report
        return session

    async def submit(self, job: JobBuilder, *, cluster: str | None = None) -> JobRun:
        """Create a job on a cluster of the session; it starts as soon as its nodes are free.

        Args:
            job: The job to create.
            cluster: The name of the cluster to run on; None for the only one.

        Returns:
            The submitted job, to wait for, stream from and download from.

        Raises:
            ConfigurationError: The job does not fit the cluster, or the cluster is not known.
            RequestError: The service refused it, for one because a job of the name exists.
        """
        await self._worker.call(self._session.submit, job, cluster=cluster)
        return self._run(job.name)

    async def map(
        self,
        jobs: Iterable[JobBuilder],
        *,
        cluster: str | None = None,
        max_parallel: int = MAX_PARALLEL,
        order: MapOrder = "submitted",
    ) -> AsyncGenerator[JobRun, None]:
        """Run many jobs, so many at a time, and yield the run of each when it has succeeded.

        Begins with the first ``async for``. A job that fails stops no other.

        Args:
            jobs: The jobs, each with a name of its own.
            cluster: The name of the cluster to run on; None for the only one.
            max_parallel: How many may be submitted and not ended at a time, 1 or more.
            order: ``submitted`` gives the runs in the order of the jobs, ``completed`` as they end.

        Raises:
            ConfigurationError: Two jobs have one name, or an option is not allowed.
            JobsFailedError: At the end: some jobs failed or were refused.
        """
        waiting = list(jobs)
        if max_parallel < 1:
            raise ConfigurationError(f"max_parallel is {max_parallel}: at least 1 job must run")
        if order not in {"submitted", "completed"}:
            raise ConfigurationError(f"{order!r} is no order: use 'submitted' or 'completed'")
        if len({job.name.casefold() for job in waiting}) < len(waiting):
            raise ConfigurationError("Two jobs have one name: rename one")
        slots = asyncio.Semaphore(max_parallel)

        async def run(job: JobBuilder) -> JobRun:
            async with slots:
                return await (await self.submit(job, cluster=cluster)).wait()

        tasks = [asyncio.create_task(run(job)) for job in waiting]
        failures: list[Exception] = []
        try:
            for task in tasks if order == "submitted" else asyncio.as_completed(tasks):
                try:
                    yield await task
                except BatchAIRecipesError as error:  # noqa: PERF203 - a job each
                    failures.append(error)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        if failures:
            lines = "\n".join(map(str, failures))
            raise JobsFailedError(
                f"{len(failures)} of {len(tasks)} jobs failed:\n{lines}", failures
            )

    async def cluster_state(self, cluster: str | None = None) -> ClusterState:
        """Ask the service for the present state of a cluster of the session.

        Args:
            cluster: The cluster's name; None for the only one.
        """
        return await self._worker.call(self._session.cluster_state, cluster)

    def runs(self) -> tuple[JobRun, ...]:
        """Return the runs of all jobs that the session has submitted, the oldest first."""
        return tuple(self._run(run.name) for run in self._session.runs())

    def __repr__(self) -> str:
        return f"aio.{self._session!r}"

    def _run(self, job: str) -> JobRun:
        connection = self._connection or self._own_clients
        if connection is None:
            raise BatchAIRecipesError(
                "This session has not been entered: write `async with TrainingSession(...)`"
            )
        place = JobPlace(*self.names.job_place(job))
        return JobRun(connection, place, report=self._report, pacing=self._pacing)

    async def _end(self, error: BaseException | None, *, entered: bool) -> None:
        try:
            if entered:
                leave = self._session.__exit__
                await self._worker.finish(leave, type(error) if error else None, error, None)
        finally:
            self._signals.stop()
            self._worker.close()
            if self._own_clients is not None:
                await self._own_clients.close()

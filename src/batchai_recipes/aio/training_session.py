"""TrainingSession, for coroutines: the same steps and the same clean-up, also when cancelled."""

import os
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from types import TracebackType

from typing_extensions import Self

from batchai_recipes.aio.bridged_connection import BridgedConnection, opened, paced
from batchai_recipes.aio.connection import Connection
from batchai_recipes.aio.fiber import each, run, wait_for
from batchai_recipes.aio.job_run import JobRun
from batchai_recipes.aio.signals import TaskSignals
from batchai_recipes.builders.cluster import ClusterBuilder
from batchai_recipes.builders.job import JobBuilder
from batchai_recipes.pacing import Pacing
from batchai_recipes.session.clean_up_policy import CleanUp
from batchai_recipes.session.cluster_state import ClusterState
from batchai_recipes.session.job_map import MAX_PARALLEL, JobMap, MapOrder, checked_map
from batchai_recipes.session.session_names import SessionNames
from batchai_recipes.session.session_plan import SessionPlan
from batchai_recipes.session.training_session import TrainingSession as Synchronous
from batchai_recipes.staging.file_share_staging import FileShareStaging
from batchai_recipes.staging.staged_manifest import StagedManifest


class TrainingSession:
    """Clusters to run jobs on, from nothing and back to nothing, for coroutines.

    Does and raises what :class:`batchai_recipes.TrainingSession` does and raises, and takes the
    same. When the task is cancelled, on Ctrl-C and on SIGTERM, what was made is deleted before the
    cancellation goes on; a second one changes nothing about it. The event loop goes on meanwhile.

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
        report: Likewise; called in the event loop's thread.
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
        self._session: Synchronous = _Session(
            *clusters,
            staging=staging,
            connection=connection._bridged if connection else None,
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
            pacing=paced(pacing),
        )
        self._signals = TaskSignals.of(self._session)

    async def __aenter__(self) -> Self:
        with self._signals.seen():
            await run(self._session.__enter__)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._signals.seen():
            await run(self._session.__exit__, kind, error, traceback)

    @property
    def id(self) -> str:
        """The session's id."""
        return self._session.id

    @property
    def names(self) -> SessionNames:
        """The names of what the session makes or uses."""
        return self._session.names

    @property
    def run_folder(self) -> Path | None:
        """The folder that explains the session; None before it is entered."""
        return self._session.run_folder

    @property
    def staged(self) -> StagedManifest | None:
        """What the session's staging put on its share, or found there unchanged."""
        return self._session.staged

    @property
    def deadline(self) -> datetime | None:
        """Until when the session was handed over to the service; None for one that was not."""
        return self._session.deadline

    async def plan(self, *jobs: JobBuilder, cluster: str | None = None) -> SessionPlan:
        """Show what the session would make, and make nothing."""
        return await run(self._session.plan, *jobs, cluster=cluster)

    async def detach(self, deadline: datetime | timedelta) -> None:
        """Hand the session over to the service: nothing is deleted when the block ends."""
        await run(self._session.detach, deadline)

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
        """Take a session up again that was detached; entering what is returned takes it over."""
        found = _Session.attach(
            id,
            connection=connection._bridged if connection else None,
            clean_up=clean_up,
            keep_outputs=keep_outputs,
            report=report,
            pacing=paced(pacing),
        )
        session = cls.__new__(cls)
        session._session = found
        session._signals = TaskSignals.of(found)
        return session

    async def submit(self, job: JobBuilder, *, cluster: str | None = None) -> JobRun:
        """Create a job on a cluster of the session, and return its run."""
        return JobRun._of(await run(self._session.submit, job, cluster=cluster))

    def map(
        self,
        jobs: Iterable[JobBuilder],
        *,
        cluster: str | None = None,
        max_parallel: int = MAX_PARALLEL,
        order: MapOrder = "submitted",
    ) -> AsyncGenerator[JobRun, None]:
        """Run many jobs, so many at a time, and yield the run of each when it has succeeded.

        Begins with the first ``async for``; mistakes are told at once.
        """
        checked = checked_map(jobs, max_parallel, order)
        self._session._unended().clusters.pick(cluster)
        begin = partial(
            self._session.map, checked, cluster=cluster, max_parallel=max_parallel, order=order
        )
        return _mapped(begin)

    async def cluster_state(self, cluster: str | None = None) -> ClusterState:
        """Ask the service for the present state of a cluster of the session."""
        return await run(self._session.cluster_state, cluster)

    def runs(self) -> tuple[JobRun, ...]:
        """Return the runs of all jobs that the session has submitted, the oldest first."""
        return tuple(map(JobRun._of, self._session.runs()))

    def __repr__(self) -> str:
        return f"aio.{self._session!r}"

    def _repr_html_(self) -> str:
        """Return its names as a table, for notebooks."""
        return self._session._repr_html_()


async def _mapped(begin: Callable[[], JobMap]) -> AsyncGenerator[JobRun, None]:
    async for one in each(await run(begin)):
        yield JobRun._of(one)


class _Session(Synchronous):
    """The synchronous session, with asynchronous clients of its own where nobody gave any."""

    def _connect(self) -> BridgedConnection:
        return wait_for(lambda: opened(BridgedConnection.default))

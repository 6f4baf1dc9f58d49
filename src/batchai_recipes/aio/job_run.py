"""JobRun, for coroutines."""

import re
from collections.abc import AsyncGenerator, Callable
from functools import partial
from typing import TYPE_CHECKING

from batchai_recipes.aio.bridged_connection import paced
from batchai_recipes.aio.connection import Connection
from batchai_recipes.aio.fiber import each, in_thread, run
from batchai_recipes.aio.job_output import JobOutput
from batchai_recipes.pacing import Pacing
from batchai_recipes.runs.job_place import JobPlace
from batchai_recipes.runs.job_run import JobRun as Synchronous
from batchai_recipes.runs.metrics import Metrics
from batchai_recipes.runs.state_change import ExecutionState, StateChange

if TYPE_CHECKING:
    from azure.mgmt.batchai.models import Job
    from matplotlib.figure import Figure


class JobRun:
    """A submitted job; :meth:`TrainingSession.submit` makes it.

    Its methods do and raise what those of :class:`batchai_recipes.JobRun` do and raise, and take
    the same; ``state`` is one too. A wait costs no thread. When its task is cancelled, the job goes
    on.

    Args:
        connection: Where the job is.
        place: The names that lead to it.
        report: Told of each change of state.
        pacing: How often to look while waiting.

    Raises:
        JobFailedError: From :meth:`wait`: the job failed.
        RequestError: From all methods: the service did not answer.

    Example:
        >>> import asyncio
        >>> from batchai_recipes import ClusterBuilder, CustomJobBuilder, FileShareStaging
        >>> from batchai_recipes.aio import TrainingSession
        >>> share = FileShareStaging("demo")
        >>> cluster = ClusterBuilder("mycluster").vm_size("STANDARD_NC6").mount(share, at="share")
        >>> async def main():
        ...     async with TrainingSession(cluster, staging=share) as session:
        ...         run = await session.submit(CustomJobBuilder("j").command_line("echo hello"))
        ...         async for line in run.stream():
        ...             print(line)
        ...         print(await (await run.wait()).state())
        >>> asyncio.run(main())
        hello
        succeeded
    """

    def __init__(
        self,
        connection: Connection,
        place: JobPlace,
        *,
        report: Callable[[str], None],
        pacing: Pacing,
    ) -> None:
        self._run = Synchronous(connection._bridged, place, report=report, pacing=paced(pacing))

    @property
    def name(self) -> str:
        """The job's name."""
        return self._run.name

    async def state(self) -> ExecutionState:
        """Ask the service for the job's execution state."""
        return await run(lambda: self._run.state)

    async def details(self) -> "Job":
        """Ask the service for everything it says of the job."""
        return await run(self._run.details)

    async def wait(
        self,
        timeout: float | None = None,
        *,
        on_change: Callable[[StateChange], object] | None = None,
    ) -> "JobRun":
        """Wait until the job has succeeded, and return this run."""
        await run(self._run.wait, timeout, on_change=on_change)
        return self

    async def watch(self, *files: str, prefix: bool | None = None) -> "JobRun":
        """Print the lines of logs, wait until the job has succeeded, and return this run."""
        await run(self._run.watch, *files, prefix=prefix)
        return self

    def events(self, timeout: float | None = None) -> AsyncGenerator[StateChange, None]:
        """Yield each change of the job's state with its time, from the first to the last."""
        return each(self._run.events(timeout))

    def stream(self, *files: str, prefix: bool | None = None) -> AsyncGenerator[str, None]:
        """Yield the lines of logs while the job writes them, from the first to the last."""
        return each(self._run.stream(*files, prefix=prefix))

    async def logs(self, file: str | None = None, *, last: int | None = None) -> str:
        """Return the text of a log, as far as it is written."""
        return await run(self._run.logs, file, last=last)

    async def metrics(
        self,
        pattern: str | re.Pattern[str] | None = None,
        *,
        file: str | None = None,
        output: str | None = None,
    ) -> Metrics:
        """Return the metrics that the job has written so far."""
        return await run(self._run.metrics, pattern, file=file, output=output)

    async def plot(
        self,
        *columns: str,
        x: str | None = None,
        pattern: str | re.Pattern[str] | None = None,
        file: str | None = None,
        output: str | None = None,
    ) -> "Figure":
        """Draw the job's metrics with matplotlib, in a thread."""
        metrics = await self.metrics(pattern, file=file, output=output)
        return await in_thread(partial(metrics.plot, *columns, x=x, title=f"Job {self.name}"))

    def outputs(self, id: str) -> JobOutput:  # noqa: A002 - the API's own word
        """Return one of the job's output directories; asks nobody."""
        return JobOutput._of(self._run.outputs(id))

    async def terminate(self) -> None:
        """End the job; without effect when it has ended."""
        await run(self._run.terminate)

    def __repr__(self) -> str:
        return f"aio.{self._run!r}"

    def _repr_html_(self) -> str:
        """Return where the job is and its states so far as a table, for notebooks."""
        return self._run._repr_html_()

    @classmethod
    def _of(cls, run_: Synchronous) -> "JobRun":
        own = cls.__new__(cls)
        own._run = run_
        return own

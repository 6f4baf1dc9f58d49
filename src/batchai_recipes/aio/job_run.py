"""JobRun, for coroutines."""

import asyncio
import re
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import TYPE_CHECKING, Final

from batchai_recipes.aio.connection import Connection
from batchai_recipes.aio.job_output import JobOutput
from batchai_recipes.aio.worker import Worker, in_thread
from batchai_recipes.errors import WaitTimeoutError
from batchai_recipes.pacing import Pacing
from batchai_recipes.refusals import explained
from batchai_recipes.runs.job_failure import job_failure
from batchai_recipes.runs.job_place import JobPlace
from batchai_recipes.runs.job_run import JobRun as Synchronous
from batchai_recipes.runs.metrics import Metrics
from batchai_recipes.runs.state_change import ENDED, ExecutionState, StateChange, state_of
from batchai_recipes.terminal import say
from batchai_recipes.tracing import span

if TYPE_CHECKING:
    from azure.mgmt.batchai.models import Job
    from matplotlib.figure import Figure

_LOGS: Final = "stdouterr"
_END: Final = object()


class JobRun:
    """A submitted job; :meth:`TrainingSession.submit` makes it.

    Its methods are those of :class:`batchai_recipes.JobRun`; ``state`` is one too.

    Args:
        connection: Where the job is.
        place: The names that lead to it.
        report: Told of each change of state.
        pacing: How often to look while waiting.

    Raises:
        JobFailedError: From :meth:`wait`: the job failed.
        RequestError: From all methods: the service did not answer.
    """

    def __init__(
        self,
        connection: Connection,
        place: JobPlace,
        *,
        report: Callable[[str], None],
        pacing: Pacing,
    ) -> None:
        self._connection = connection
        self._place = place
        self._report = report
        self._pacing = pacing
        self._run = Synchronous(connection.synchronous, place, report=report, pacing=pacing)

    @property
    def name(self) -> str:
        """The job's name."""
        return self._run.name

    async def state(self) -> ExecutionState:
        """Ask the service for the job's execution state."""
        return self._run._state_of(await self.details())

    async def details(self) -> "Job":
        """Ask the service for everything it says of the job."""
        with explained(f"get job {self.name}"):
            return await self._connection.batchai.jobs.get(*self._place.names)

    async def wait(
        self,
        timeout: float | None = None,
        *,
        on_change: Callable[[StateChange], object] | None = None,
    ) -> "JobRun":
        """Wait until the job has succeeded.

        Args:
            timeout: How long to wait at most, in seconds; None for as long as it takes.
            on_change: Called with each change of the job's state, those before the call too.

        Returns:
            This run, for chaining.

        Raises:
            WaitTimeoutError: The job had not ended in time; it goes on.
        """
        told = 0
        with span("wait for job", job=self.name):
            async with aclosing(self._looks(timeout)) as looks:
                async for job in looks:
                    for change in self._run._changes.all[told:]:
                        told += 1
                        if on_change:
                            on_change(change)
                    if state_of(job) == "failed":
                        logs = self._run.outputs(_LOGS)
                        raise await in_thread(job_failure, self.name, job, logs)
        return self

    async def watch(self, *files: str, prefix: bool | None = None) -> "JobRun":
        """Print the lines of logs while the job writes them, and wait until it has succeeded.

        Args:
            files: As for :meth:`stream`.
            prefix: As for :meth:`stream`.

        Returns:
            This run, for chaining.
        """
        async with aclosing(self.stream(*files, prefix=prefix)) as lines:
            async for line in lines:
                say(line)
        return await self.wait()

    async def events(
        self,
        timeout: float | None = None,
    ) -> AsyncGenerator[StateChange, None]:
        """Yield each change of the job's state with its time, from the first to the last.

        Args:
            timeout: How long to wait at most, in seconds; None for as long as it takes.

        Raises:
            WaitTimeoutError: The job had not ended in time; it goes on.
        """
        told = 0
        async with aclosing(self._looks(timeout)) as looks:
            async for _ in looks:
                for change in self._run._changes.all[told:]:
                    yield change
                    told += 1

    async def stream(self, *files: str, prefix: bool | None = None) -> AsyncGenerator[str, None]:
        """Yield the lines of logs while the job writes them, from the first to the last.

        Ends when the job has ended and its last line is out, whether it succeeded or not.

        Args:
            files: The logs' names or patterns of them; without any, the standard output of the
                job's first process.
            prefix: Whether each line begins with its log's name and a colon; None where several
                logs, or a pattern, are named.

        Raises:
            ConfigurationError: A name is empty.
        """
        worker = Worker("batchai-stream", self._pacing)
        run = Synchronous(
            self._connection.synchronous, self._place, report=self._report, pacing=worker.pacing
        )
        run._changes = self._run._changes
        lines = run.stream(*files, prefix=prefix)
        try:
            while (line := await worker.call(next, lines, _END)) is not _END:
                yield str(line)
        finally:
            await worker.finish(lines.close)
            worker.close()

    async def logs(self, file: str | None = None, *, last: int | None = None) -> str:
        """Return the text of a log, as far as it is written.

        Args:
            file: The log's name; None for the standard output of the job's first process.
            last: How many of its last lines; None for all.
        """
        return await in_thread(self._run.logs, file, last=last)

    async def metrics(
        self,
        pattern: str | re.Pattern[str] | None = None,
        *,
        file: str | None = None,
        output: str | None = None,
    ) -> Metrics:
        """Return the metrics that the job has written so far.

        Args:
            pattern: As of :meth:`batchai_recipes.JobRun.metrics`.
            file: Likewise.
            output: Likewise.
        """
        return await in_thread(self._run.metrics, pattern, file=file, output=output)

    async def plot(
        self,
        *columns: str,
        x: str | None = None,
        pattern: str | re.Pattern[str] | None = None,
        file: str | None = None,
        output: str | None = None,
    ) -> "Figure":
        """Draw the job's metrics with matplotlib.

        Args:
            columns: What to draw; without any, all columns of numbers but the axis.
            x: The column along the axis; None for the one that counts the others.
            pattern: As for :meth:`metrics`.
            file: As for :meth:`metrics`.
            output: As for :meth:`metrics`.
        """
        metrics = await self.metrics(pattern, file=file, output=output)
        return metrics.plot(*columns, x=x, title=f"Job {self.name}")

    def outputs(self, id: str) -> JobOutput:  # noqa: A002 - the API's own word
        """Return one of the job's output directories.

        Args:
            id: The id that the job declared, or ``stdouterr`` for its logs.
        """
        return JobOutput(self._run.outputs(id))

    async def terminate(self) -> None:
        """End the job; without effect when it has ended."""
        with span("terminate job", job=self.name), explained(f"terminate job {self.name}"):
            ending = await self._connection.batchai.jobs.begin_terminate(*self._place.names)
            await ending.wait()

    def __repr__(self) -> str:
        return f"aio.{self._run!r}"

    async def _looks(self, timeout: float | None) -> AsyncGenerator["Job", None]:
        pacing = self._pacing
        started, pause = pacing.monotonic(), pacing.first
        while True:
            job = await self.details()
            state = self._run._state_of(job)
            yield job
            if state in ENDED:
                return
            if timeout is not None and pacing.monotonic() - started > timeout:
                raise WaitTimeoutError(
                    f"Job {self.name} was still {state} after {timeout:g} s; it goes on"
                )
            if pacing.sleep is time.sleep:
                await asyncio.sleep(pause)
            else:
                pacing.sleep(pause)
            pause = min(pause * pacing.growth, pacing.longest)

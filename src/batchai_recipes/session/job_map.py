"""JobMap: many jobs, so many at a time, with what failed told at the end."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Final, Literal, TypeAlias

from batchai_recipes.builders.job import JobBuilder
from batchai_recipes.errors import BatchAIRecipesError, ConfigurationError, JobsFailedError
from batchai_recipes.pacing import Pacing
from batchai_recipes.runs.job_run import JobRun

MapOrder: TypeAlias = Literal["submitted", "completed"]
"""In which order runs come out: as the jobs were given, or as they end."""

MAX_PARALLEL: Final = 10
_ENDED: Final = frozenset({"succeeded", "failed"})


class JobMap(Iterator[JobRun]):
    """The runs of many jobs as they succeed; :meth:`TrainingSession.map` makes it.

    The first jobs are submitted at once, each further one when another has ended while somebody
    iterates. What failed is raised as one group after the last run.

    Args:
        jobs: The jobs, each with a name of its own.
        submit: Submits one.
        max_parallel: How many are submitted and not ended at a time.
        order: In which order runs come out.
        pacing: How often to look.

    Raises:
        ConfigurationError: Two jobs have one name, or a number or word is not allowed.
    """

    def __init__(
        self,
        jobs: Iterable[JobBuilder],
        submit: Callable[[JobBuilder], JobRun],
        *,
        max_parallel: int,
        order: MapOrder,
        pacing: Pacing,
    ) -> None:
        self._waiting = deque(enumerate(checked_map(jobs, max_parallel, order)))
        self._count = len(self._waiting)
        self._submit = submit
        self._max_parallel = max_parallel
        self._in_order = order == "submitted"
        self._pacing = pacing
        self._running: dict[int, JobRun] = {}
        self._succeeded: dict[int, JobRun] = {}
        self._failures: dict[int, Exception] = {}
        self._next = 0
        self._fill()

    def __next__(self) -> JobRun:
        pauses = self._pacing.pauses()
        while True:
            run = self._take()
            if run is not None:
                return run
            if not self._running and not self._waiting:
                self._end()
            if self._look():
                pauses = self._pacing.pauses()
                self._fill()
            else:
                next(pauses)

    def _take(self) -> JobRun | None:
        """Return the run that comes next, if it has succeeded."""
        if self._in_order:
            while self._next in self._failures:
                self._next += 1
            run = self._succeeded.pop(self._next, None)
            self._next += run is not None
            return run
        first = next(iter(self._succeeded), None)
        return None if first is None else self._succeeded.pop(first)

    def _end(self) -> None:
        failures = [self._failures[number] for number in sorted(self._failures)]
        self._failures.clear()
        self._next = self._count
        if failures:
            lines = "\n".join(str(failure) for failure in failures)
            raise JobsFailedError(
                f"{len(failures)} of {self._count} jobs failed:\n{lines}", failures
            )
        raise StopIteration

    def _fill(self) -> None:
        while self._waiting and len(self._running) < self._max_parallel:
            number, job = self._waiting.popleft()
            try:
                self._running[number] = self._submit(job)
            except BatchAIRecipesError as error:
                self._failures[number] = error

    def _look(self) -> bool:
        """Ask for each running job once; tell whether one has ended."""
        before = len(self._running)
        for number, run in tuple(self._running.items()):
            try:
                if run.state not in _ENDED:
                    continue
                self._succeeded[number] = run.wait()
            except BatchAIRecipesError as error:
                self._failures[number] = error
            del self._running[number]
        return len(self._running) < before


def checked_job(job: JobBuilder) -> JobBuilder:
    """Return a job if it is one.

    Args:
        job: The job.

    Raises:
        ConfigurationError: It is something else.

    Example:
        >>> from batchai_recipes import CustomJobBuilder
        >>> checked_job(CustomJobBuilder("myjob")).name
        'myjob'
    """
    if not isinstance(job, JobBuilder):
        raise ConfigurationError(f"A job is CustomJobBuilder('myjob')... or the like, not {job!r}")
    return job


def checked_map(jobs: Iterable[JobBuilder], max_parallel: int, order: MapOrder) -> list[JobBuilder]:
    """Check what is to be mapped.

    Args:
        jobs: The jobs.
        max_parallel: How many are submitted and not ended at a time.
        order: In which order runs come out.

    Returns:
        The jobs.

    Raises:
        ConfigurationError: Two jobs have one name, or a number or word is not allowed.
    """
    if max_parallel < 1:
        raise ConfigurationError(f"max_parallel is {max_parallel}: at least 1 job must run")
    if order not in {"submitted", "completed"}:
        raise ConfigurationError(f"{order!r} is no order: use 'submitted' or 'completed'")
    known: dict[str, JobBuilder] = {}
    for job in map(checked_job, jobs):
        if job.name.casefold() in known:
            raise ConfigurationError(f"Two jobs are named {job.name!r}: rename one")
        known[job.name.casefold()] = job
    return list(known.values())

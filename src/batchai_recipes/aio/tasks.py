"""What the synchronous half does side by side, done by tasks."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from types import TracebackType
from typing import Generic, TypeVar

from typing_extensions import ParamSpec

from batchai_recipes.aio.fiber import finish, in_thread, is_certain, run, wait_for
from batchai_recipes.concurrency import Crew, Pending, Repeated

P = ParamSpec("P")
T = TypeVar("T")
ValueT = TypeVar("ValueT")


class Tasks:
    """Concurrency with tasks, for functions that :func:`~batchai_recipes.aio.fiber.run` runs."""

    def crew(self, size: int, name: str) -> Crew:
        """Return a crew that does so many things at a time, each in a task."""
        return _TaskCrew(size, name)

    def slots(self, size: int) -> AbstractContextManager[object]:
        """Return a semaphore."""
        return _Slots(size)

    def every(self, seconds: float, act: Callable[[], object], name: str) -> Repeated:
        """Start a task."""
        return _RepeatingTask(seconds, act, name)

    def aside(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do it in a thread: it would keep the event loop from all else."""
        return wait_for(lambda: in_thread(function, *args, **kwargs))


class _PendingTask(Generic[T]):
    def __init__(self, task: "asyncio.Task[T]") -> None:
        self.task = task

    def result(self) -> T:
        self._wait()
        return self.task.result()

    def exception(self) -> BaseException | None:
        self._wait()
        return self.task.exception()

    def cancel(self) -> bool:
        # What it writes to must stay open until it has really ended.
        self.task.cancel()
        self._wait()
        return self.task.cancelled()

    def cancelled(self) -> bool:
        return self.task.cancelled()

    def _wait(self) -> None:
        if not self.task.done():
            wait_for(lambda: asyncio.wait([self.task]))


class _TaskCrew:
    def __init__(self, size: int, name: str) -> None:
        self._slots = asyncio.Semaphore(size)
        self._name = name
        self._tasks: set[asyncio.Task[object]] = set()

    def submit(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Pending[T]:
        certain = is_certain()

        async def work() -> T:
            go = finish if certain else run
            return await go(function, *args, **kwargs)

        task: asyncio.Task[T] = asyncio.get_running_loop().create_task(
            self._done_in_turn(work), name=self._name
        )
        self._tasks.add(task)
        return _PendingTask(task)

    async def _done_in_turn(self, work: Callable[[], Awaitable[T]]) -> T:
        async with self._slots:
            return await work()

    def map(self, function: Callable[[ValueT], T], values: Iterable[ValueT]) -> Iterator[T]:
        pending = [self.submit(function, value) for value in values]
        return (one.result() for one in pending)

    def completed(self, pending: Iterable[Pending[T]]) -> Iterator[Pending[T]]:
        waiting = {one.task: one for one in pending if isinstance(one, _PendingTask)}
        while waiting:
            done, _ = wait_for(partial(_first_of, list(waiting)))
            for task in done:
                yield waiting.pop(task)

    def close(self) -> None:
        tasks = [task for task in self._tasks if not task.done()]
        for task in tasks:
            task.cancel()
        if tasks:
            wait_for(lambda: asyncio.wait(tasks))
        for task in self._tasks:
            if not task.cancelled():
                task.exception()  # seen: what it raised is told by what waited for it


async def _first_of(
    tasks: "list[asyncio.Task[T]]",
) -> "tuple[set[asyncio.Task[T]], set[asyncio.Task[T]]]":
    return await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)


class _Slots:
    def __init__(self, size: int) -> None:
        self._semaphore = asyncio.Semaphore(size)

    def __enter__(self) -> None:
        wait_for(self._semaphore.acquire)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._semaphore.release()


class _RepeatingTask:
    def __init__(self, seconds: float, act: Callable[[], object], name: str) -> None:
        self._seconds = seconds
        self._act = act
        self._acts = False
        self._stopped = False
        self._task = asyncio.get_running_loop().create_task(self._run(), name=name)

    def stop(self) -> None:
        self._stopped = True
        if not self._acts:
            self._task.cancel()
        if not self._task.done():
            wait_for(lambda: asyncio.wait([self._task]))

    async def _run(self) -> None:
        while not self._stopped:
            await asyncio.sleep(self._seconds)
            self._acts = True
            try:
                await run(self._act)
            finally:
                self._acts = False

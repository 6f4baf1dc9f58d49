"""A thread in which the synchronous half works for a task, and ends soon when that is cancelled."""

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import TypeVar

from attrs import evolve
from typing_extensions import ParamSpec

from batchai_recipes.pacing import Pacing

P = ParamSpec("P")
T = TypeVar("T")


class StoppedError(BaseException):
    """The work was given up while it waited; nothing but the worker catches it."""


class Worker:
    """Runs one call after the other in one thread.

    Args:
        name: What to call the thread.
        pacing: The waits of the work; :attr:`pacing` is the same, but can be cut short.
    """

    def __init__(self, name: str, pacing: Pacing | None = None) -> None:
        self._executor = ThreadPoolExecutor(1, thread_name_prefix=name)
        # One for all calls: a span that one of them opens is closed by another.
        self._context = copy_context()
        self._stop = threading.Event()
        self._given = pacing or Pacing()
        self.pacing = evolve(self._given, sleep=self._sleep)

    async def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a function in the thread.

        When the task is cancelled, the function is told so at its next wait; the task goes on being
        cancelled only when the function has ended.
        """
        return await self._run(partial(function, *args, **kwargs), stoppable=True)

    async def finish(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a function to its end, such as a clean-up; a cancellation takes effect after it."""
        return await self._run(partial(function, *args, **kwargs), stoppable=False)

    def close(self) -> None:
        """Let the thread end, when it has done what it does."""
        self._executor.shutdown(wait=False)

    async def _run(self, work: Callable[[], T], *, stoppable: bool) -> T:
        self._stop.clear()
        loop = asyncio.get_running_loop()
        future = loop.run_in_executor(self._executor, self._context.run, work)
        cancelled: asyncio.CancelledError | None = None
        while not future.done():
            try:
                await asyncio.wait([future])
            except asyncio.CancelledError as error:  # noqa: PERF203 - waited for
                cancelled = error
                if stoppable:
                    self._stop.set()
        if cancelled is not None:
            future.exception()  # seen, so that nobody is told of it
            raise cancelled
        return future.result()

    def _sleep(self, seconds: float) -> None:
        if self._given.sleep is time.sleep:
            stopped = self._stop.wait(seconds)
        else:
            self._given.sleep(seconds)
            stopped = self._stop.is_set()
        if stopped:
            self._stop.clear()  # told once: what cleans up then may wait
            raise StoppedError


async def in_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a function in a thread of its own; a cancelled task ends when it has ended."""
    worker = Worker("batchai-aio")
    try:
        return await worker.call(function, *args, **kwargs)
    finally:
        worker.close()

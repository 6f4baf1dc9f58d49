"""Fibers: the synchronous half's own code, waiting for coroutines in the event loop's thread.

What a session, a run or a transfer does is written once, as plain functions. Here such a function
runs in a greenlet. Where it would wait for an answer, it hands the question to the coroutine that
runs it, which awaits the asynchronous client; the function goes on when that has answered, with
what it returned or raised. A cancellation is raised in the function at the place where it waits.
"""

import asyncio
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from functools import partial
from typing import Any, Final, TypeAlias, TypeVar, cast

from greenlet import getcurrent, greenlet
from typing_extensions import ParamSpec

P = ParamSpec("P")
T = TypeVar("T")

Ask: TypeAlias = Callable[[], Awaitable[T]]

# So often is asked again what others than the fiber's own task have cancelled.
_TRIES: Final = 3
_END: Final = object()


class _Fiber(greenlet):
    """A function that runs in a coroutine's place.

    Args:
        function: The function.
        certain: Whether nothing may cut it short, from its beginning.
    """

    def __init__(self, function: Callable[[], object], *, certain: bool) -> None:
        super().__init__(function)
        # Spans that the function begins are its task's too, as if it ran in the coroutine itself.
        self.gr_context = getcurrent().gr_context
        self.certain = int(certain)
        self.cancellation: asyncio.CancelledError | None = None

    def resume(self, go_on: Callable[..., Any], *arguments: object) -> Any:
        """Let the function go on until it asks something or ends."""
        self.parent = getcurrent()  # who goes on when the function asks the next thing
        return go_on(*arguments)

    async def answer(self, ask: Ask[Any]) -> Any:
        """Wait for what the function asks, whatever happens to the task if it must be certain."""
        if not self.certain:
            return await ask()
        for tries_left in reversed(range(_TRIES)):
            task = asyncio.get_running_loop().create_task(_awaited(ask))
            # The end of asyncio.run cancels all tasks that it knows; this one is waited for.
            asyncio.tasks._unregister_task(task)
            self.cancellation = await outlast(task) or self.cancellation
            if tries_left == 0 or not task.cancelled():
                return task.result()
        return None


async def run(function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a synchronous function that waits for coroutines with :func:`wait_for`.

    Args:
        function: The function.
        args: Its arguments.
        kwargs: Likewise.

    Returns:
        What it returns.

    Raises:
        CancelledError: The task was cancelled; the function was told where it waited, unless it
            said by :func:`certainly` that nothing may cut it short.
    """
    return cast(T, await _driven(_Fiber(partial(function, *args, **kwargs), certain=False)))


async def finish(function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Like :func:`run`, but to the function's end: a cancellation takes effect after it.

    Args:
        function: The function.
        args: Its arguments.
        kwargs: Likewise.
    """
    return cast(T, await _driven(_Fiber(partial(function, *args, **kwargs), certain=True)))


async def _driven(fiber: _Fiber) -> object:
    try:
        asked = fiber.resume(fiber.switch)
        while not fiber.dead:
            try:
                answer = await fiber.answer(asked)
            except BaseException:  # noqa: BLE001, PERF203 - it is the function's to handle
                asked = fiber.resume(fiber.throw, *sys.exc_info())
            else:
                asked = fiber.resume(fiber.switch, answer)
    except (asyncio.CancelledError, KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:
        if fiber.cancellation is not None:
            raise fiber.cancellation from error
        raise
    if fiber.cancellation is not None:
        raise fiber.cancellation
    return asked


def wait_for(ask: Ask[T]) -> T:
    """Wait for something, in a function that :func:`run` runs.

    Args:
        ask: Returns what to await, a new one each time.

    Raises:
        RuntimeError: No fiber runs here.
    """
    fiber = _current()
    if fiber is None or fiber.parent is None:
        raise RuntimeError("This connection belongs to coroutines: nothing else may use it")
    return cast(T, fiber.parent.switch(ask))


@contextmanager
def certainly() -> Iterator[None]:
    """Let nothing cut the block short; a cancellation takes effect when its function has ended."""
    fiber = _current()
    if fiber is None:
        yield
        return
    fiber.certain += 1
    try:
        yield
    finally:
        fiber.certain -= 1


def is_certain() -> bool:
    """Tell whether the present function must not be cut short."""
    fiber = _current()
    return fiber is not None and fiber.certain > 0


async def each(values: Iterator[T]) -> AsyncGenerator[T, None]:
    """Yield what a synchronous iterator yields that waits for coroutines.

    Args:
        values: The iterator; a generator is closed at the end.
    """
    try:
        while (value := await run(cast(Callable[..., Any], next), values, _END)) is not _END:
            yield cast(T, value)
    finally:
        close = getattr(values, "close", None)
        if close:
            await run(close)


async def in_thread(function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a function that keeps the disk or a processor busy in a thread.

    It cannot be cut short there: a task that is cancelled meanwhile waits for its end.

    Args:
        function: The function.
        args: Its arguments.
        kwargs: Likewise.
    """
    work = partial(copy_context().run, partial(function, *args, **kwargs))
    future = asyncio.get_running_loop().run_in_executor(None, work)
    cancelled = await outlast(future)
    if cancelled is not None:
        future.exception()  # seen, so that nobody is told of it
        raise cancelled
    return future.result()


async def outlast(future: "asyncio.Future[Any]") -> asyncio.CancelledError | None:
    """Wait until a future is done, also when the task is cancelled.

    Args:
        future: The future.

    Returns:
        The last cancellation meanwhile.
    """
    cancelled: asyncio.CancelledError | None = None
    while not future.done():
        try:
            await asyncio.wait([future])
        except asyncio.CancelledError as error:  # noqa: PERF203 - waited for
            cancelled = error
    return cancelled


def _current() -> _Fiber | None:
    current = getcurrent()
    return current if isinstance(current, _Fiber) else None


async def _awaited(ask: Ask[T]) -> T:
    return await ask()

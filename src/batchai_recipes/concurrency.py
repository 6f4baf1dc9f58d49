"""What the library does side by side, or aside: with threads here, with tasks in ``aio``."""

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol, TypeVar

from typing_extensions import ParamSpec

from batchai_recipes.tracing import carried

if TYPE_CHECKING:
    from batchai_recipes.connection import Connection

P = ParamSpec("P")
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
ValueT = TypeVar("ValueT")


class Pending(Protocol[T_co]):
    """What a crew was asked to do; a :class:`~concurrent.futures.Future` is one."""

    def result(self) -> T_co:
        """Wait for it, and return what it returned or raise what it raised."""
        ...

    def exception(self) -> BaseException | None:
        """Wait for it, and return what it raised."""
        ...

    def cancel(self) -> bool:
        """Give it up, and tell whether that could be done."""
        ...

    def cancelled(self) -> bool:
        """Tell whether it was given up."""
        ...


class Crew(Protocol):
    """Does so many things at a time, each in the present span."""

    def submit(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Pending[T]:
        """Have something done, soon."""
        ...

    def map(self, function: Callable[[ValueT], T], values: Iterable[ValueT]) -> Iterator[T]:
        """Do one thing with each value, and yield what that gave in the order of the values."""
        ...

    def completed(self, pending: Iterable[Pending[T]]) -> Iterator[Pending[T]]:
        """Yield what was submitted, as it ends."""
        ...

    def close(self) -> None:
        """Give up what has not begun, and wait for the rest."""
        ...


class Repeated(Protocol):
    """Something that is done now and then."""

    def stop(self) -> None:
        """Do it no more; waits where it is being done."""
        ...


class Concurrency(Protocol):
    """How things are done side by side."""

    def crew(self, size: int, name: str) -> Crew:
        """Return a crew that does so many things at a time.

        Args:
            size: How many.
            name: What to call it where one looks at threads.
        """
        ...

    def slots(self, size: int) -> AbstractContextManager[object]:
        """Return a context that so many can be in at a time; with 1 it is a lock.

        Args:
            size: How many.
        """
        ...

    def every(self, seconds: float, act: Callable[[], object], name: str) -> Repeated:
        """Do something now and then, beginning after a pause.

        Args:
            seconds: How long the pauses are.
            act: What to do.
            name: What to call it where one looks at threads.
        """
        ...

    def aside(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do what keeps this machine's disk or a processor busy for a while, in nobody's way.

        Args:
            function: What to do; it uses no client of the connection.
            args: Its arguments.
            kwargs: Likewise.
        """
        ...


class Threads:
    """Concurrency with threads, as far as :class:`Concurrency` says how.

    Example:
        >>> crew = Threads().crew(2, "demo")
        >>> list(crew.map(abs, [-2, -1, 0]))
        [2, 1, 0]
        >>> crew.close()
    """

    def crew(self, size: int, name: str) -> Crew:
        """Return a pool of threads."""
        return _ThreadCrew(size, name)

    def slots(self, size: int) -> AbstractContextManager[object]:
        """Return a semaphore."""
        return threading.BoundedSemaphore(size)

    def every(self, seconds: float, act: Callable[[], object], name: str) -> Repeated:
        """Start a thread."""
        return _RepeatingThread(seconds, act, name)

    def aside(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do it here: a thread that waits is in nobody's way."""
        return function(*args, **kwargs)


class _ThreadCrew:
    def __init__(self, size: int, name: str) -> None:
        self._pool = ThreadPoolExecutor(size, thread_name_prefix=name)

    def submit(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        return self._pool.submit(carried(function), *args, **kwargs)

    def map(self, function: Callable[[ValueT], T], values: Iterable[ValueT]) -> Iterator[T]:
        return self._pool.map(carried(function), values)

    def completed(self, pending: Iterable[Pending[T]]) -> Iterator[Pending[T]]:
        return as_completed(one for one in pending if isinstance(one, Future))

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)


class _RepeatingThread:
    def __init__(self, seconds: float, act: Callable[[], object], name: str) -> None:
        self._seconds = seconds
        self._act = act
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(self._seconds):
            self._act()


def concurrency_of(connection: "Connection") -> Concurrency:
    """Return how things are done side by side on a connection.

    Args:
        connection: The connection.
    """
    return connection._concurrency  # noqa: SLF001 - not for users, who have no use for it

"""Doing the same to many things at once, with few in flight."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from typing_extensions import Self

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

WORKERS = 8


class Crew:
    """A few threads that share work.

    Args:
        workers: How many threads.

    Example:
        >>> with Crew() as crew:
        ...     list(crew.each(len, ["a", "bb"]))
        [('a', 1), ('bb', 2)]
    """

    def __init__(self, workers: int = WORKERS) -> None:
        self._workers = workers
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="copy")

    def __enter__(self) -> Self:
        """Return the crew, dismissed when the block ends."""
        return self

    def __exit__(self, *_: object) -> None:
        """Dismiss the crew; work that has not begun is dropped."""
        self._pool.shutdown(cancel_futures=True)

    def each(
        self, work: Callable[[_Item], _Result], items: Iterable[_Item]
    ) -> Iterator[tuple[_Item, _Result]]:
        """Do work on each item, in parallel.

        Args:
            work: What to do.
            items: With what; taken as the work proceeds.

        Yields:
            Each item with its result, in order.

        Raises:
            Exception: What the work raised; no further items are begun.
        """
        begun: deque[tuple[_Item, Future[_Result]]] = deque()
        for item in items:
            begun.append((item, self._pool.submit(work, item)))
            if len(begun) >= 2 * self._workers:
                first, future = begun.popleft()
                yield first, future.result()
        while begun:
            first, future = begun.popleft()
            yield first, future.result()

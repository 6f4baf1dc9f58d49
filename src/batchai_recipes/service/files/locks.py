"""Locks for things on disk, told apart by device and inode."""

import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager


class InodeLocks:
    """A lock for each file or directory, out of a fixed number of them.

    Two things may share a lock, which only costs a little waiting. No one may hold two locks of one
    set at a time.

    Args:
        count: How many locks there are.
    """

    def __init__(self, count: int = 64) -> None:
        self._locks = tuple(threading.Lock() for _ in range(count))

    @contextmanager
    def hold(self, descriptor: int) -> Iterator[os.stat_result]:
        """Keep others from something that is open.

        Args:
            descriptor: Its file descriptor.

        Yields:
            Its status, read under the lock.
        """
        status = os.fstat(descriptor)
        with self._locks[self._number(status)]:
            yield os.fstat(descriptor)

    @contextmanager
    def hold_both(self, first: int, second: int) -> Iterator[None]:
        """Keep others from two things that are open, without a deadlock.

        Args:
            first: The file descriptor of one.
            second: The file descriptor of the other one, which may be the same thing.
        """
        numbers = sorted({self._number(os.fstat(first)), self._number(os.fstat(second))})
        with ExitStack() as held:
            for number in numbers:
                held.enter_context(self._locks[number])
            yield

    def _number(self, status: os.stat_result) -> int:
        return hash((status.st_dev, status.st_ino)) % len(self._locks)

"""Locks for things on disk, told apart by device and inode."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager


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
        with self._locks[hash((status.st_dev, status.st_ino)) % len(self._locks)]:
            yield os.fstat(descriptor)

"""Times of change, no two of them equal.

The kernel stamps writes with a clock that ticks every few milliseconds, so two quick writes of one
size would leave a file that looks unchanged. The service therefore stamps what it writes itself.
"""

import contextlib
import os
import threading
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from typing import Final

from batchai_recipes.service.clock import Clock

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=timezone.utc)
# The times that SMB, and Python, can tell; some disks keep any that a job gives its files.
_EARLIEST: Final = (datetime(1601, 1, 1, tzinfo=timezone.utc) - _EPOCH) // timedelta(microseconds=1)
_LATEST: Final = (datetime(9999, 12, 31, 23, 59, 59, tzinfo=timezone.utc) - _EPOCH) // timedelta(
    microseconds=1
)


class Stamps:
    """Gives out times that only ever grow.

    Args:
        clock: Tells the time.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._last = 0

    def after(self, previous: int) -> int:
        """Return the present time as a new stamp.

        Args:
            previous: The stamp of the last change, in nanoseconds since 1970; 0 for none.

        Returns:
            Nanoseconds since 1970, greater than `previous` and than any stamp given out.
        """
        present = (self._clock.now() - _EPOCH) // timedelta(microseconds=1) * 1000
        with self._lock:
            self._last = max(present, self._last + 1)
            return max(self._last, previous + 1)

    def touch(self, descriptor: int) -> os.stat_result:
        """Stamp an open file as changed now.

        Args:
            descriptor: The file's descriptor.

        Returns:
            Its status with the new time.
        """
        status = os.fstat(descriptor)
        stamp = self.after(status.st_mtime_ns)
        # Only a file's owner may set its time. One that a container's root made keeps the time that
        # the kernel gave it with the write.
        with contextlib.suppress(PermissionError):
            os.utime(descriptor, ns=(status.st_atime_ns, stamp))
        return os.fstat(descriptor)


@lru_cache(maxsize=1024)
def moment_of(stamp: int) -> datetime:
    """Return a stamp as a time in UTC; one before 1601 or after 9999 as the nearest time.

    Args:
        stamp: Nanoseconds since 1970.
    """
    return _EPOCH + timedelta(microseconds=min(max(stamp // 1000, _EARLIEST), _LATEST))


def stamp_of(text: str) -> int:
    """Return the stamp of a time, in nanoseconds since 1970.

    Args:
        text: The time as :func:`long_timestamp` writes it.

    Example:
        >>> stamp_of("1970-01-01T00:00:01.0000010Z")
        1000001000
    """
    moment = datetime.strptime(f"{text[:-2]}Z", "%Y-%m-%dT%H:%M:%S.%fZ").replace(
        tzinfo=timezone.utc
    )
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1000


@lru_cache(maxsize=1024)
def long_timestamp(moment: datetime) -> str:
    """Write a time as Azure Files does: UTC with exactly seven digits of a second, and ``Z``.

    Args:
        moment: The time, in UTC.

    Example:
        >>> from datetime import timezone
        >>> long_timestamp(datetime(2024, 1, 2, 3, 4, 5, 123456, tzinfo=timezone.utc))
        '2024-01-02T03:04:05.1234560Z'
    """
    return f"{moment:%Y-%m-%dT%H:%M:%S.%f}0Z"

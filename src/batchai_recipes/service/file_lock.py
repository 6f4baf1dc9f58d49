"""Advisory locks on files, which the operating system drops when their holder dies."""

import fcntl
import os
from pathlib import Path


class FileLock:
    """A lock on a file, shared or exclusive, held until released or until the process ends.

    Args:
        path: The file; made when missing, and left in place.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     first, second = (FileLock(Path(folder) / "lock") for _ in range(2))
        ...     taken = first.try_exclusive(), second.try_exclusive()
        ...     first.release()
        ...     second.release()
        >>> taken
        (True, False)
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def shared(self) -> None:
        """Wait for the lock and hold it together with other holders of the shared kind."""
        fcntl.flock(self._open(), fcntl.LOCK_SH)

    def exclusive(self) -> None:
        """Wait for the lock and hold it alone."""
        fcntl.flock(self._open(), fcntl.LOCK_EX)

    def try_exclusive(self) -> bool:
        """Take the lock alone if nobody holds it; return whether that succeeded.

        A shared lock that this object held is lost when it does not.
        """
        try:
            fcntl.flock(self._open(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def release(self) -> None:
        """Drop the lock; without effect when it is not held."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _open(self) -> int:
        if self._descriptor is None:
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        return self._descriptor

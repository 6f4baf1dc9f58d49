"""Notices when processes end that are no children of this one."""

import contextlib
import os
import selectors
import threading
from collections.abc import Callable

_FIRST_POLL_SECONDS = 0.05
_LONGEST_POLL_SECONDS = 2.0


class ProcessWatch:
    """Calls back when a watched process ends.

    The kernel tells (a pidfd becomes readable). Where it has no pidfds the processes are looked at
    in growing intervals.

    Args:
        notify: Called from the watch's own thread after one or more processes ended.
    """

    def __init__(self, notify: Callable[[], None]) -> None:
        self._notify = notify
        self._selector = selectors.DefaultSelector()
        self._polled: dict[int, Callable[[], bool]] = {}
        self._watched: set[int] = set()
        self._lock = threading.Lock()
        self._bell, self._rope = os.pipe()
        os.set_blocking(self._bell, False)
        os.set_blocking(self._rope, False)
        self._selector.register(self._bell, selectors.EVENT_READ)
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="process-watch", daemon=True)
        self._thread.start()

    def add(self, pid: int, is_alive: Callable[[], bool]) -> None:
        """Watch a process; does nothing when it is watched already.

        Args:
            pid: Its id.
            is_alive: Says whether it (and no later process with its id) still runs.
        """
        with self._lock:
            if pid in self._watched or self._stopping:
                return
            self._watched.add(pid)
            descriptor = open_pidfd(pid)
            if descriptor is None:
                self._polled[pid] = is_alive
            else:
                self._selector.register(descriptor, selectors.EVENT_READ, pid)
        # It may have ended before the pidfd was opened, which then is another process's or none.
        if not is_alive():
            self._forget(pid, descriptor)
            self._notify()
        self._ring()

    def close(self) -> None:
        """Stop watching and end the thread; closing twice is closing once."""
        with self._lock:
            if self._stopping:
                return
            self._stopping = True
        self._ring()
        self._thread.join()
        for key in list(self._selector.get_map().values()):
            os.close(key.fd)
        self._selector.close()
        os.close(self._rope)

    def _run(self) -> None:
        interval = _FIRST_POLL_SECONDS
        while True:
            ready = self._selector.select(interval if self._polled else None)
            ended: list[tuple[int, int | None]] = [
                (key.data, key.fd) for key, _ in ready if key.fd != self._bell
            ]
            with contextlib.suppress(BlockingIOError):
                if os.read(self._bell, 4096):
                    interval = _FIRST_POLL_SECONDS
            if self._stopping:
                return
            with self._lock:
                polled = list(self._polled.items())
            ended += [(pid, None) for pid, is_alive in polled if not is_alive()]
            for pid, descriptor in ended:
                self._forget(pid, descriptor)
            if ended:
                self._notify()
            interval = min(interval * 1.5, _LONGEST_POLL_SECONDS)

    def _forget(self, pid: int, descriptor: int | None) -> None:
        with self._lock:
            if pid not in self._watched:
                return
            self._watched.discard(pid)
            self._polled.pop(pid, None)
            if descriptor is not None:
                self._selector.unregister(descriptor)
                os.close(descriptor)
        # Orphans fall to a service that is the first process of its container: collect them.
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)

    def _ring(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.write(self._rope, b"!")


def open_pidfd(pid: int) -> int | None:
    """Open a handle of a process, which never means a later process with the same id.

    Args:
        pid: The process.

    Returns:
        The handle, or None where the system has none or the process is gone.
    """
    if not hasattr(os, "pidfd_open"):
        return None
    try:
        return os.pidfd_open(pid)
    except OSError:
        return None

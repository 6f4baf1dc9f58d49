"""Notices when processes end that are no children of this one."""

import contextlib
import os
import selectors
import threading
from collections.abc import Callable, Hashable

from attrs import frozen

_FIRST_POLL_SECONDS = 0.05
_LONGEST_POLL_SECONDS = 2.0


@frozen
class _Watched:
    """A process that is watched, and how."""

    pid: int
    descriptor: int | None
    is_alive: Callable[[], bool]
    ended: Callable[[], None]


class ProcessWatch:
    """Calls back when a watched process ends.

    The kernel tells (a pidfd becomes readable). Where it has no pidfds the processes are looked at
    in growing intervals.
    """

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._watched: dict[Hashable, _Watched] = {}
        self._lock = threading.Lock()
        self._bell, self._rope = os.pipe()
        os.set_blocking(self._bell, False)
        os.set_blocking(self._rope, False)
        self._selector.register(self._bell, selectors.EVENT_READ)
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="process-watch", daemon=True)
        self._thread.start()

    def add(
        self,
        name: Hashable,
        pid: int,
        is_alive: Callable[[], bool],
        ended: Callable[[], None],
    ) -> None:
        """Watch a process; does nothing when one of that name is watched already.

        Args:
            name: Tells it from others, later ones with the same process id too.
            pid: Its id.
            is_alive: Says whether it (and no later process with its id) still runs.
            ended: Called once when it has ended, as a rule from the watch's own thread.
        """
        with self._lock:
            if name in self._watched or self._stopping:
                return
            descriptor = open_pidfd(pid)
            self._watched[name] = _Watched(pid, descriptor, is_alive, ended)
            if descriptor is not None:
                self._selector.register(descriptor, selectors.EVENT_READ, name)
        # It may have ended before the pidfd was opened, which then is another process's or none.
        if not is_alive():
            self._forget(name)
        elif descriptor is None:
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
            with self._lock:
                polled = [name for name, found in self._watched.items() if found.descriptor is None]
            ready = self._selector.select(interval if polled else None)
            ended: list[Hashable] = [key.data for key, _ in ready if key.fd != self._bell]
            with contextlib.suppress(BlockingIOError):
                if os.read(self._bell, 4096):
                    interval = _FIRST_POLL_SECONDS
            if self._stopping:
                return
            ended += [name for name in polled if self._has_ended(name)]
            for name in ended:
                self._forget(name)
            interval = min(interval * 1.5, _LONGEST_POLL_SECONDS)

    def _has_ended(self, name: Hashable) -> bool:
        with self._lock:
            found = self._watched.get(name)
        return found is not None and not found.is_alive()

    def _forget(self, name: Hashable) -> None:
        with self._lock:
            found = self._watched.pop(name, None)
            if found is None:
                return
            if found.descriptor is not None:
                self._selector.unregister(found.descriptor)
                os.close(found.descriptor)
        # Orphans fall to a service that is the first process of its container: collect them.
        with contextlib.suppress(ChildProcessError):
            os.waitpid(found.pid, os.WNOHANG)
        found.ended()

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

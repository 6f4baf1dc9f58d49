"""Hearing from supervisors, and noticing the end of those that are no children of this process."""

import contextlib
import os
import selectors
import socket
import threading
from collections.abc import Callable, Hashable

from attrs import frozen

_FIRST_POLL_SECONDS = 0.05
_LONGEST_POLL_SECONDS = 2.0
_MOST_BYTES = 65536


@frozen
class _Connection:
    """A socket whose other end a process holds as long as it lives."""

    socket: socket.socket
    received: Callable[[bytes], None]


@frozen
class _Process:
    """A process of which nothing but its id is known."""

    pid: int
    pidfd: int | None
    is_alive: Callable[[], bool]
    ended: Callable[[], None]


class ProcessWatch:
    """Calls back when a process says something or ends.

    The kernel tells: a socket or pidfd becomes readable. Where it has no pidfds the processes are
    looked at in growing intervals. What is watched has names, since process ids are given again.
    """

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._watched: dict[Hashable, _Connection | _Process] = {}
        self._lock = threading.Lock()
        self._bell, self._rope = os.pipe()
        os.set_blocking(self._bell, False)
        os.set_blocking(self._rope, False)
        self._selector.register(self._bell, selectors.EVENT_READ)
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="process-watch", daemon=True)
        self._thread.start()

    def add_connection(
        self, name: Hashable, connection: socket.socket, received: Callable[[bytes], None]
    ) -> None:
        """Watch a process through a socket, which belongs to the watch from now on.

        Args:
            name: Tells it from others.
            connection: The socket; the process alone holds its other end.
            received: Called, from the watch's own thread, with what the process says, and with
                ``b""``, once, when it has ended.
        """
        with self._lock:
            if name in self._watched or self._stopping:
                connection.close()
                return
            connection.setblocking(False)
            self._watched[name] = _Connection(connection, received)
            self._selector.register(connection, selectors.EVENT_READ, name)

    def add_process(
        self, name: Hashable, pid: int, is_alive: Callable[[], bool], ended: Callable[[], None]
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
            found = _Process(pid, open_pidfd(pid), is_alive, ended)
            self._watched[name] = found
            if found.pidfd is not None:
                self._selector.register(found.pidfd, selectors.EVENT_READ, name)
        # It may have ended before the pidfd was opened, which then is another process's or none.
        if not is_alive():
            self._bury(name)
        elif found.pidfd is None:
            self._ring()

    def close(self) -> None:
        """Stop watching and end the thread; closing twice is closing once."""
        with self._lock:
            if self._stopping:
                return
            self._stopping = True
        self._ring()
        self._thread.join()
        for name in list(self._watched):
            self._forget(name)
        self._selector.close()
        os.close(self._bell)
        os.close(self._rope)

    def _run(self) -> None:
        interval = _FIRST_POLL_SECONDS
        while True:
            with self._lock:
                polled = [name for name, found in self._watched.items() if _is_polled(found)]
            ready = self._selector.select(interval if polled else None)
            with contextlib.suppress(BlockingIOError):
                if os.read(self._bell, 4096):
                    interval = _FIRST_POLL_SECONDS
            if self._stopping:
                return
            for name in [*polled, *(key.data for key, _ in ready if key.fd != self._bell)]:
                self._look(name)
            interval = min(interval * 1.5, _LONGEST_POLL_SECONDS)

    def _look(self, name: Hashable) -> None:
        with self._lock:
            found = self._watched.get(name)
        if isinstance(found, _Process):
            if found.pidfd is not None or not found.is_alive():
                self._bury(name)
        elif found is not None:
            received = _receive(found.socket)
            if received == b"":
                self._forget(name)
            if received is not None:
                found.received(received)

    def _bury(self, name: Hashable) -> None:
        found = self._forget(name)
        if isinstance(found, _Process):
            # Orphans fall to a service that is the first process of its container: collect them.
            with contextlib.suppress(ChildProcessError):
                os.waitpid(found.pid, os.WNOHANG)
            found.ended()

    def _forget(self, name: Hashable) -> _Connection | _Process | None:
        with self._lock:
            found = self._watched.pop(name, None)
            if isinstance(found, _Connection):
                self._selector.unregister(found.socket)
                found.socket.close()
            elif found is not None and found.pidfd is not None:
                self._selector.unregister(found.pidfd)
                os.close(found.pidfd)
        return found

    def _ring(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.write(self._rope, b"!")


def _is_polled(found: _Connection | _Process) -> bool:
    return isinstance(found, _Process) and found.pidfd is None


def _receive(connection: socket.socket) -> bytes | None:
    try:
        return connection.recv(_MOST_BYTES)
    except BlockingIOError:
        return None
    except OSError:
        return b""  # the process was killed with something unread


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

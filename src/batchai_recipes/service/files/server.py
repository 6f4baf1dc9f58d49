"""The web server of the file service: HTTP/1.1, one thread for each connection.

Shares move large bodies between a socket and a file, which threads do best: the kernel copies while
Python waits, in one call for up to 4 MiB, and nothing is copied between event loop and threads.
"""

import socket
import ssl
import threading
from collections import deque
from contextlib import suppress
from typing import Final

from batchai_recipes.service.files.body import Buffers
from batchai_recipes.service.files.connection import Connection, Handler
from batchai_recipes.service.listener import TlsFiles

MAXIMUM_CONNECTIONS: Final = 256
"""How many clients are served at a time; for one more, the one idle the longest has to go."""

_GRACE_SECONDS: Final = 2.0
_ABORT_SECONDS: Final = 5.0
_THREAD_IDLE_SECONDS: Final = 30.0
_PAUSE_SECONDS: Final = 0.1


class FileServer:
    """Serves the files of a service on a socket until it is stopped.

    Args:
        handler: Answers requests.
        listening: A bound and listening socket, which this closes in the end.
        tls: The certificate for https; None for http.
        maximum: How many clients are served at a time.
    """

    def __init__(
        self,
        handler: Handler,
        listening: socket.socket,
        *,
        tls: TlsFiles | None = None,
        maximum: int = MAXIMUM_CONNECTIONS,
    ) -> None:
        self._handler = handler
        self._socket = listening
        self._tls: ssl.SSLContext | None = None
        if tls is not None:
            self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._tls.load_cert_chain(tls.certificate, tls.key)
        self._maximum = maximum
        self._buffers = Buffers()
        self._lock = threading.Lock()
        self._assigned = threading.Condition(self._lock)
        self._ended = threading.Condition(self._lock)
        self._connections: set[Connection] = set()
        self._waiting: deque[Connection] = deque()
        self._threads = 0
        self._idle_threads = 0
        self._stopping = threading.Event()
        self._acceptor = threading.Thread(target=self._accept, name="files", daemon=True)

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self._socket.getsockname()[1])

    def start(self) -> None:
        """Serve; returns at once, since the kernel already takes connections."""
        self._acceptor.start()

    def stop(self) -> None:
        """Finish the requests under way, within a short time, and stop."""
        self._stopping.set()
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # which wakes the thread that accepts
        self._acceptor.join()
        self._socket.close()
        with self._lock:
            for connection in self._connections:
                connection.is_closing = True
            for connection in self._connections:
                if connection.is_idle:
                    connection.abort()
            self._ended.wait_for(lambda: not self._connections, _GRACE_SECONDS)
            for connection in self._connections:
                connection.abort()
            # Whoever closes the store after this must not find a request in the midst of it.
            self._ended.wait_for(lambda: not self._connections, _ABORT_SECONDS)

    def _accept(self) -> None:
        while not self._stopping.is_set():
            try:
                accepted, address = self._socket.accept()
            except OSError:
                # Stopping, too many open files, or a client that went before it was let in.
                self._stopping.wait(_PAUSE_SECONDS)
                continue
            connection = Connection(
                accepted,
                str(address[0]),
                self._tls,
                self._handler,
                self._buffers,
                is_crowded=self._is_crowded,
            )
            self._assign(connection)

    def _assign(self, connection: Connection) -> None:
        with self._lock:
            self._connections.add(connection)
            self._waiting.append(connection)
            if self._idle_threads >= len(self._waiting):
                self._assigned.notify()
            elif self._threads < self._maximum:
                self._threads += 1
                # From now on, since nobody has to make room for what it will take.
                self._idle_threads += 1
                threading.Thread(target=self._work, name="files-client", daemon=True).start()
            else:
                self._make_room()

    def _is_crowded(self) -> bool:
        return self._threads >= self._maximum and len(self._waiting) > self._idle_threads

    def _make_room(self) -> None:
        """Close the connection that has been without a request for the longest time."""
        idle = [one for one in self._connections if one.is_idle and not one.is_closing]
        if idle:
            min(idle, key=lambda one: one.idle_since).abort()

    def _work(self) -> None:
        while (connection := self._next()) is not None:
            connection.serve()
            with self._lock:
                self._connections.discard(connection)
                self._idle_threads += 1
                self._ended.notify_all()

    def _next(self) -> Connection | None:
        """Wait for a connection to serve; None once there has been none for a while."""
        with self._lock:
            there = self._assigned.wait_for(lambda: self._waiting, _THREAD_IDLE_SECONDS)
            self._idle_threads -= 1
            if there:
                return self._waiting.popleft()
            self._threads -= 1
            return None

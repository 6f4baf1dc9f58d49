"""The web server of the file service: HTTP/1.1, small requests in one thread, large ones in many.

Shares move large bodies between a socket and a file, which threads do best: the kernel copies while
Python waits, in one call for up to 4 MiB, and nothing is copied between event loop and threads.
Small requests one thread answers best; see :mod:`~.crew`.
"""

import logging
import socket
import ssl
import threading
from collections import deque
from contextlib import suppress
from typing import Final

from batchai_recipes.service.files.body import Buffers
from batchai_recipes.service.files.connection import IDLE_SECONDS, Connection, Handler
from batchai_recipes.service.files.crew import Crew
from batchai_recipes.service.listener import TlsFiles

MAXIMUM_CONNECTIONS: Final = 256
"""How many clients are served at a time; for one more, the one idle the longest has to go."""

_GRACE_SECONDS: Final = 2.0
_ABORT_SECONDS: Final = 5.0
_PAUSE_SECONDS: Final = 0.1
_NOT_SERVED: Final = (
    "A client of the file service was turned away, since the kernel watches no more connections "
    "(%s): close some of them, or raise fs.epoll.max_user_watches"
)

_logger = logging.getLogger(__name__)


class FileServer:
    """Serves the files of a service on a socket until it is stopped.

    Args:
        handler: Answers requests.
        listening: A bound and listening socket, which this closes in the end.
        tls: The certificate for https; None for http.
        maximum: How many clients are served at a time.
        idle_seconds: How long a connection is kept without a request.
    """

    def __init__(
        self,
        handler: Handler,
        listening: socket.socket,
        *,
        tls: TlsFiles | None = None,
        maximum: int = MAXIMUM_CONNECTIONS,
        idle_seconds: float = IDLE_SECONDS,
    ) -> None:
        self._handler = handler
        self._socket = listening
        self._tls: ssl.SSLContext | None = None
        if tls is not None:
            self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._tls.load_cert_chain(tls.certificate, tls.key)
        self._maximum = maximum
        self._buffers = Buffers()
        self._crew: Crew[Connection] = Crew(self._end, idle_seconds)
        self._lock = threading.Lock()
        self._ended = threading.Condition(self._lock)
        self._connections: set[Connection] = set()
        self._waiting: deque[Connection] = deque()
        self._stopping = threading.Event()
        self._acceptor = threading.Thread(target=self._accept, name="files", daemon=True)

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self._socket.getsockname()[1])

    def start(self) -> None:
        """Serve; returns at once, since the kernel already takes connections."""
        self._crew.start()
        self._acceptor.start()

    def stop(self) -> None:
        """Finish the requests under way, within a short time, and stop."""
        self._stopping.set()
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # which wakes the thread that accepts
        self._acceptor.join()
        self._socket.close()
        with self._lock:
            while self._waiting:
                self._waiting.pop().close()
            for connection in self._connections:
                connection.is_closing = True
            for connection in self._connections:
                if connection.rests:
                    connection.abort()
            self._ended.wait_for(lambda: not self._connections, _GRACE_SECONDS)
            for connection in self._connections:
                connection.abort()
            # Whoever closes the store after this must not find a request in the midst of it.
            self._ended.wait_for(lambda: not self._connections, _ABORT_SECONDS)
        self._crew.stop()

    def _accept(self) -> None:
        while not self._stopping.is_set():
            try:
                accepted, address = self._socket.accept()
            except OSError:
                # Stopping, too many open files, or a client that went before it was let in.
                self._stopping.wait(_PAUSE_SECONDS)
                continue
            try:
                connection = Connection(
                    accepted,
                    str(address[0]),
                    self._tls,
                    self._handler,
                    self._buffers,
                    is_crowded=self._is_crowded,
                )
            except OSError:  # the client has gone already
                accepted.close()
                continue
            with self._lock:
                self._waiting.append(connection)
                self._admit()
                if self._waiting:
                    self._make_room()

    def _admit(self) -> None:
        """Serve those who wait, as far as there is room."""
        while self._waiting and len(self._connections) < self._maximum:
            connection = self._waiting.popleft()
            try:
                self._crew.watch(connection)
            except OSError as error:
                _logger.warning(_NOT_SERVED, error)
                connection.close()
            else:
                self._connections.add(connection)

    def _is_crowded(self) -> bool:
        return bool(self._waiting)

    def _make_room(self) -> None:
        """Close the connection that has been without a request for the longest time."""
        idle = [one for one in self._connections if one.rests and not one.is_closing]
        if idle:
            min(idle, key=lambda one: one.idle_since).abort()

    def _end(self, connection: Connection) -> None:
        """Close a connection that the crew has done with."""
        connection.close()
        with self._lock:
            self._connections.discard(connection)
            self._admit()
            self._ended.notify_all()

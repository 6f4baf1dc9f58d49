"""The threads that serve connections: one of them leads, the others take what lasts.

Of many threads that each answer small requests, every system call hands the interpreter from one
to the next, which costs more than the requests do. So one thread, the leader, waits for requests on
all connections and answers them one after the other. Nobody waits for what lasts: whoever is about
to wait for a client steps aside, and another thread leads; where the leader is held up by anything
else, such as the disk or a lock, the overseer puts another one in its place.
"""

import os
import select
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Final, Generic, Protocol, TypeVar

StepAside = Callable[[], None]
"""Lets somebody else lead, if the caller still does."""

_THREAD_IDLE_SECONDS: Final = 30.0
_SWEEPS: Final = 4
_PATIENCE_SECONDS: Final = 0.003
"""How long the others may have to wait for one request."""
_QUIET_LOOKS: Final = 100


class Served(Protocol):
    """A connection, as far as its crew knows it."""

    idle_since: float

    def fileno(self) -> int:
        """Return the descriptor of its socket."""
        ...

    def serve(self, step_aside: StepAside) -> bool:
        """Answer what has come; tell whether more may come. Raises nothing.

        Args:
            step_aside: To be called before anything that may last.
        """
        ...


Connection = TypeVar("Connection", bound=Served)


class Crew(Generic[Connection]):
    """Threads that serve connections.

    Args:
        ended: Told of each connection that is to be closed.
        idle_seconds: How long a connection is kept without a request.
        pause: Waits some seconds between two looks at the leader.
    """

    def __init__(
        self,
        ended: Callable[[Connection], None],
        idle_seconds: float,
        *,
        pause: Callable[[float], object] = time.sleep,
    ) -> None:
        self._ended = ended
        self._pause = pause
        self._idle_seconds = idle_seconds
        self._poll = select.epoll()
        self._bell = os.eventfd(0, os.EFD_CLOEXEC)
        self._poll.register(self._bell, select.EPOLLIN)
        weakref.finalize(self, os.close, self._bell)  # once the last thread has ended
        self._resting: dict[int, Connection] = {}
        self._ready: deque[Connection] = deque()  # the leader's
        self._next_sweep = 0.0
        self._lock = threading.Lock()
        self._vacancy = threading.Condition(self._lock)
        self._is_vacant = False
        self._term = 0
        self._idle_threads = 0
        self._served: Connection | None = None
        self._requests = 0
        self._busy = threading.Event()
        self._over = False

    def start(self) -> None:
        """Begin to serve; returns at once."""
        threading.Thread(target=self._oversee, name="files-overseer", daemon=True).start()
        with self._lock:
            self._call_leader()

    def stop(self) -> None:
        """Let the threads end; nobody may be served any more."""
        with self._lock:
            self._over = True
            self._vacancy.notify_all()
        self._busy.set()
        os.eventfd_write(self._bell, 1)

    def watch(self, connection: Connection) -> None:
        """Serve a connection whenever something comes over it.

        Args:
            connection: The connection; at rest now.

        Raises:
            OSError: The kernel watches no more connections; the caller closes this one.
        """
        descriptor = connection.fileno()
        self._resting[descriptor] = connection
        try:
            self._poll.register(descriptor, select.EPOLLIN)
        except OSError:
            self._resting.pop(descriptor, None)
            raise

    def _forget(self, connection: Connection) -> None:
        descriptor = connection.fileno()
        with suppress(OSError, ValueError):
            self._poll.unregister(descriptor)
        self._resting.pop(descriptor, None)

    def _work(self) -> None:
        while (term := self._take_lead()) is not None:
            step_aside = partial(self._hand_over, term)
            while (connection := self._next()) is not None:
                if not self._serve(connection, term, step_aside):
                    break

    def _serve(self, connection: Connection, term: int, step_aside: StepAside) -> bool:
        """Serve a connection; tell whether this thread still leads."""
        self._requests += 1
        self._served = connection
        if not self._busy.is_set():
            self._busy.set()
        goes_on = connection.serve(step_aside)
        with self._lock:
            leads = self._term == term
            if leads:
                self._served = None
        if not goes_on:
            self._forget(connection)
            self._ended(connection)
        elif not leads:
            try:
                self.watch(connection)
            except OSError:
                self._ended(connection)
        return leads

    def _take_lead(self) -> int | None:
        """Wait until somebody has to lead; None where nobody has for a while."""
        with self._lock:
            self._idle_threads += 1
            self._vacancy.wait_for(lambda: self._is_vacant or self._over, _THREAD_IDLE_SECONDS)
            self._idle_threads -= 1
            if self._over or not self._is_vacant:
                return None
            self._is_vacant = False
            return self._term

    def _hand_over(self, term: int, request: int | None = None) -> None:
        """Let another thread lead.

        Args:
            term: Whose lead is to end; nothing happens where it has ended.
            request: At which request; None for any.
        """
        with self._lock:
            if self._term != term or self._served is None:
                return
            if request is not None and self._requests != request:
                return
            self._term += 1
            # It would be reported again and again to the next leader.
            self._forget(self._served)
            self._served = None
            self._call_leader()

    def _call_leader(self) -> None:
        self._is_vacant = True
        if self._idle_threads:
            self._vacancy.notify()
            return
        with suppress(RuntimeError):  # too many threads: the next one that is free leads
            threading.Thread(target=self._work, name="files-client", daemon=True).start()

    def _next(self) -> Connection | None:
        """Return the next connection with a request; None once all is over."""
        while not self._ready:
            if self._over:
                return None
            for descriptor, _ in self._poll.poll(self._idle_seconds / _SWEEPS):
                connection = self._resting.get(descriptor)
                if connection is not None:
                    self._ready.append(connection)
            if time.monotonic() > self._next_sweep:
                self._sweep()
        return self._ready.popleft()

    def _sweep(self) -> None:
        """End the connections that have been without a request for too long."""
        now = time.monotonic()
        self._next_sweep = now + self._idle_seconds / _SWEEPS
        for connection in list(self._resting.values()):
            if connection.idle_since + self._idle_seconds < now and connection not in self._ready:
                self._forget(connection)
                self._ended(connection)

    def _oversee(self) -> None:
        """Put another thread in the leader's place whenever one request takes too long."""
        while not self._over:
            self._busy.wait()
            quiet = 0
            while quiet < _QUIET_LOOKS and not self._over:
                request, term = self._requests, self._term
                self._pause(_PATIENCE_SECONDS)
                if request != self._requests:
                    quiet = 0
                elif self._served is not None:
                    self._hand_over(term, request)
                else:
                    quiet += 1
            self._busy.clear()
            if self._served is not None:  # it began before that, and takes the overseer for awake
                self._busy.set()

"""Whether a node's service is still there, or its state was deleted and nobody will come back."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal

_LOOK_SECONDS: Final = 30.0
_PATIENCE_SECONDS: Final = 600.0
_LONGEST_SECONDS: Final = 24 * 3600.0

Verdict = Literal["attended", "deleted", "forgotten"]
"""Whether a service follows or may come back; its state was deleted; or none came for long."""


class Attendance:
    """Knows when a node was last followed, and what to think of it if that is long ago.

    A node outlives its service, which may be started again. It ends by itself where that cannot be:
    no service asks, and the file that tells the service from others is gone from a state directory
    that the node could see. Where it never saw that, it ends when it has done nothing for a day.

    Args:
        probe: The file that tells the service from others.
        sees_state: Whether the node saw it.
        is_busy: Whether a task runs.
        monotonic: A clock in seconds.
    """

    def __init__(
        self,
        probe: Path,
        *,
        sees_state: bool,
        is_busy: Callable[[], bool],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._probe = probe
        self._sees_state = sees_state
        self._is_busy = is_busy
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._requests = 0
        self._asked_at = monotonic()

    @contextmanager
    def asked(self) -> Iterator[None]:
        """Count a request, as long as it takes."""
        with self._lock:
            self._requests += 1
        try:
            yield
        finally:
            with self._lock:
                self._requests -= 1
                self._asked_at = self._monotonic()

    def judge(self) -> Verdict:
        """Say what to think of the service."""
        with self._lock:
            alone = 0.0 if self._requests else self._monotonic() - self._asked_at
        if alone < _PATIENCE_SECONDS:
            return "attended"
        if self._sees_state and _is_gone(self._probe):
            return "deleted"
        if alone > _LONGEST_SECONDS and not self._is_busy():
            return "forgotten"
        return "attended"

    def watch(self, leave: Callable[[Verdict], None]) -> None:
        """Judge now and then, in a thread of its own.

        Args:
            leave: Called once, when the service will not come back.
        """
        threading.Thread(target=self._watch, args=(leave,), name="attendance", daemon=True).start()

    def _watch(self, leave: Callable[[Verdict], None]) -> None:
        pause = threading.Event()
        while (verdict := self.judge()) == "attended":
            pause.wait(_LOOK_SECONDS)
        leave(verdict)


def _is_gone(path: Path) -> bool:
    try:
        path.lstat()
    except FileNotFoundError:
        return True
    except OSError:
        return False  # its file system does not answer at the moment
    return False

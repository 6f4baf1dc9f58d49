"""SIGTERM as an exception inside a session, and no interruption of its clean-up."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Final, TypeAlias

_Handler: TypeAlias = Callable[[int, FrameType | None], object] | int | None

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
_EXIT_STATUS_OF_SIGTERM: Final = 128 + signal.SIGTERM


class _Sigterm:
    """SIGTERM's handler of this process, shared by all sessions that are entered, in any order."""

    def __init__(self) -> None:
        self._sessions: list[TerminationSignals] = []

    def add(self, session: "TerminationSignals") -> bool:
        """Install the handler, unless the program has its own; tell whether it is in place."""
        if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            signal.signal(signal.SIGTERM, _end_sessions)
            self._sessions = []
        if signal.getsignal(signal.SIGTERM) is not _end_sessions:
            return False
        self._sessions.append(session)
        return True

    def remove(self, session: "TerminationSignals") -> None:
        """Give SIGTERM back its default when this was the last session."""
        self._sessions = [one for one in self._sessions if one is not session]
        if not self._sessions and signal.getsignal(signal.SIGTERM) is _end_sessions:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def arrive(self) -> None:
        """End all sessions: those that cannot end by themselves by an exception, here and now."""
        cancelled = [session.cancel() for session in self._sessions]
        if not all(cancelled):
            raise terminated()


class _HeldSignals:
    """The signals that wait for clean-ups, those of one session or of several that overlap."""

    def __init__(self) -> None:
        self._reports: list[Callable[[str], None]] = []
        self._previous: dict[int, _Handler] = {}
        self._arrived: list[int] = []

    def add(self, report: Callable[[str], None]) -> None:
        """Hold signals from now on, and tell of those that arrive.

        A signal that is ignored stays ignored, as under ``nohup``.
        """
        if not self._reports:
            handlers = {number: signal.getsignal(number) for number in _SIGNALS}
            self._previous = {
                number: handler
                for number, handler in handlers.items()
                if handler is not signal.SIG_IGN
            }
            try:
                for number in self._previous:
                    signal.signal(number, self._hold)
            except BaseException:  # the old handler of one of them was faster
                self._let_go()
                raise
        self._reports.append(report)

    def remove(self, report: Callable[[str], None]) -> int | None:
        """Let go where nobody else holds them; return the first that arrived meanwhile."""
        self._reports.remove(report)
        if self._reports:
            return None
        arrived, self._arrived = self._arrived, []
        try:
            self._let_go()
        except BaseException:  # one that has its handler back was faster than the other one
            self._let_go()
            raise
        return arrived[0] if arrived else None

    def _let_go(self) -> None:
        for number in tuple(self._previous):
            handler = self._previous[number]
            # None: a handler that was not installed from Python; Python cannot restore it.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
            self._previous.pop(number)

    def _hold(self, number: int, _frame: FrameType | None) -> None:
        self._arrived.append(number)
        # What it interrupts may be the very output that it would use, and that may refuse to be
        # entered twice. The clean-up goes on in any case.
        with suppress(Exception):
            self._reports[-1]("Still cleaning up; the signal takes effect after it")


class TerminationSignals:
    """Makes Ctrl-C and SIGTERM leave a ``with`` block in the ordinary way.

    Only the main thread gets signals, so in another one this does nothing. A program that has its
    own handler for SIGTERM keeps it. Sessions inside or beside each other share one handler.

    Args:
        report: Told when a signal arrives during the clean-up.
    """

    def __init__(self, report: Callable[[str], None]) -> None:
        self._report = report
        self._raising = False

    def start(self) -> None:
        """Let SIGTERM raise :class:`SystemExit` from now on, unless the program handles it."""
        if _in_main_thread():
            self._raising = _sigterm.add(self)

    def stop(self) -> None:
        """Give SIGTERM back its default."""
        if self._raising and _in_main_thread():
            _sigterm.remove(self)
            self._raising = False

    def cancel(self) -> bool:
        """End the session without an exception from the handler; tell whether that will happen.

        An exception that a handler raises is raised wherever the program happens to be.
        """
        return False

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold Ctrl-C and SIGTERM back during the block, and deliver them after it."""
        if not _in_main_thread():
            yield
            return
        _held.add(self._report)
        try:
            yield
        finally:
            arrived = _held.remove(self._report)
        if arrived is not None:
            signal.raise_signal(arrived)


def terminated() -> SystemExit:
    """Return what ends a program that SIGTERM ends, with the status that a shell reports for it."""
    return SystemExit(_EXIT_STATUS_OF_SIGTERM)


def _end_sessions(_number: int, _frame: FrameType | None) -> None:
    _sigterm.arrive()


_sigterm: Final = _Sigterm()
_held: Final = _HeldSignals()


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()

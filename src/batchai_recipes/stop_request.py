"""A request to stop that a signal may make.

``threading.Event`` is none: a handler runs in the main thread, between any two steps of it, also
while that thread holds the event's own lock to begin to wait. Setting the event then waits for
itself, for ever.

Nor is a handler enough. The kernel may give a signal to another thread, or to the main one just
before it begins to wait; then nothing wakes that, and its handler does not run. So signals are
written into what is waited for, by whichever thread has them.
"""

import contextlib
import os
import select
import signal
import weakref


class StopRequest:
    """Made once, from any thread or signal handler; waited for in any thread.

    Example:
        >>> request = StopRequest()
        >>> request.is_set(), request.wait(0.0)
        (False, False)
        >>> request.set()
        >>> request.is_set(), request.wait()
        (True, True)
    """

    def __init__(self) -> None:
        self._made, self._make = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        for descriptor in (self._made, self._make):
            weakref.finalize(self, os.close, descriptor)

    def set_upon(self, *numbers: signal.Signals) -> None:
        """Have signals make the request. Only in the main thread, which is to handle no others.

        Args:
            numbers: The signals.
        """
        signal.set_wakeup_fd(self._make, warn_on_full_buffer=False)
        weakref.finalize(self, _leave, self._make)
        for number in numbers:
            signal.signal(number, lambda *_: None)

    def set(self) -> None:
        """Make the request; to do so again changes nothing."""
        with contextlib.suppress(BlockingIOError):  # it is full of requests
            os.write(self._make, b"\0")

    def is_set(self) -> bool:
        """Tell whether it has been made."""
        return self.wait(0.0)

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until it is made.

        Args:
            seconds: How long at most; None for as long as it takes.

        Returns:
            Whether it has been made.
        """
        poll = select.poll()
        poll.register(self._made, select.POLLIN)
        return bool(poll.poll(None if seconds is None else 1000 * seconds))


def _leave(descriptor: int) -> None:
    """Have no signal written to what is about to be closed."""
    with contextlib.suppress(ValueError):  # in another thread than the main one
        current = signal.set_wakeup_fd(-1)
        if current != descriptor:
            signal.set_wakeup_fd(current)

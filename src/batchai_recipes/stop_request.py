"""A request to stop that a signal handler may make.

``threading.Event`` is none: a handler runs in the main thread, between any two steps of it, also
while that thread holds the event's own lock to begin to wait. Setting the event then waits for
itself, for ever.
"""

import os
import select
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
        self._descriptor = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        weakref.finalize(self, os.close, self._descriptor)

    def set(self) -> None:
        """Make the request; to do so again changes nothing."""
        os.eventfd_write(self._descriptor, 1)

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
        poll.register(self._descriptor, select.POLLIN)
        return bool(poll.poll(None if seconds is None else 1000 * seconds))

"""A bell that rings whenever records change, for those who wait for a state."""

import threading
from collections.abc import Callable


class Changes:
    """Lets threads wait for a condition on the records without asking again and again.

    Example:
        >>> changes = Changes()
        >>> changes.wait_until(lambda: True, timeout=1.0)
        True
        >>> changes.wait_until(lambda: False, timeout=0.0)
        False
    """

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._listeners: tuple[Callable[[], None], ...] = ()

    def announce(self) -> None:
        """Wake everyone who waits, to look again. Called after a commit, never inside one."""
        with self._condition:
            self._condition.notify_all()
        for listener in self._listeners:
            listener()

    def listen(self, listener: Callable[[], None]) -> None:
        """Have a function called after each announcement, by the thread that announces.

        Args:
            listener: The function; it must be quick and not raise.
        """
        with self._condition:
            self._listeners = (*self._listeners, listener)

    def unlisten(self, listener: Callable[[], None]) -> None:
        """Have a function no longer called.

        Args:
            listener: The function that was given to :meth:`listen`.
        """
        with self._condition:
            self._listeners = tuple(one for one in self._listeners if one != listener)

    def wait_until(self, condition: Callable[[], bool], timeout: float) -> bool:
        """Wait until a condition holds.

        Args:
            condition: Looks at the records; called at once and after each announcement.
            timeout: How long to wait at most, in seconds.

        Returns:
            Whether the condition held in time.
        """
        with self._condition:
            return self._condition.wait_for(condition, timeout)

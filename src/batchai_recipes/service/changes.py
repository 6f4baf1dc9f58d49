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

    def announce(self) -> None:
        """Wake everyone who waits, to look again. Called after a commit, never inside one."""
        with self._condition:
            self._condition.notify_all()

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

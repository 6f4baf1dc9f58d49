"""When the scheduler tries again what could not be done."""

import time
from collections.abc import Callable
from typing import Final

_FIRST_SECONDS: Final = 0.5
_LONGEST_SECONDS: Final = 60.0


class Retries:
    """Pauses that double from one try to the next, however often the scheduler wakes in between.

    Args:
        monotonic: Tells seconds on a clock that never goes back.

    Example:
        >>> seconds = [100.0]
        >>> retries = Retries(lambda: seconds[0])
        >>> retries.note(failed=True)
        >>> retries.seconds_left(), retries.are_due()
        (0.5, False)
        >>> seconds[0] = 100.5
        >>> retries.are_due()
        True
        >>> retries.note(failed=True)
        >>> retries.seconds_left()
        1.0
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._pause = 0.0
        self._due_at: float | None = None

    def seconds_left(self) -> float | None:
        """Return how long it is until the next try, in seconds; None where nothing has failed."""
        return None if self._due_at is None else max(self._due_at - self._monotonic(), 0.0)

    def are_due(self) -> bool:
        """Tell whether the time of the next try has come."""
        return self.seconds_left() == 0.0

    def note(self, *, failed: bool) -> None:
        """Take note of how the last look went.

        Args:
            failed: Whether something could not be done; where it was no try, the next one stays
                when it is.
        """
        if not failed:
            self._pause, self._due_at = 0.0, None
        elif self._due_at is None or self.are_due():
            self._pause = min(max(2 * self._pause, _FIRST_SECONDS), _LONGEST_SECONDS)
            self._due_at = self._monotonic() + self._pause

"""A clock on which waiting takes no time."""

from batchai_recipes.pacing import Pacing


class VirtualClock:
    """Seconds that pass only by waiting for them.

    For tests against answers that are written down beforehand: a real service does not hurry along
    with it.

    Example:
        >>> clock = VirtualClock()
        >>> pauses = clock.pacing().pauses()
        >>> for _ in range(8):
        ...     next(pauses)
        >>> round(clock.now, 2)
        3.26
    """

    def __init__(self) -> None:
        self.now = 0.0

    def sleep(self, seconds: float) -> None:
        """Let time pass at once.

        Args:
            seconds: How much, in seconds.
        """
        self.now += seconds

    def pacing(self) -> Pacing:
        """Return waits on this clock, for a session or a run."""
        return Pacing(sleep=self.sleep, monotonic=lambda: self.now)

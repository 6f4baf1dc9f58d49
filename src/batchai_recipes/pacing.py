"""How often to look while waiting: at short, growing intervals, on a clock that tests can move."""

import time
from collections.abc import Callable, Iterator

from attrs import field, frozen


@frozen
class Pacing:
    """Short waits that grow, and the clock they are measured on.

    Args:
        first: The first wait, in seconds.
        longest: The longest wait, in seconds.
        growth: By what each wait is longer than the one before.
        outage: For how long, in seconds, a service that does not answer is asked again while
            something is waited for or streamed, beyond what the clients try by themselves.
        sleep: Waits a number of seconds.
        monotonic: Tells seconds on a clock that never goes back.

    Example:
        >>> waited = []
        >>> pauses = Pacing(first=1.0, longest=3.0, sleep=waited.append).pauses()
        >>> for _ in range(4):
        ...     next(pauses)
        >>> waited
        [1.0, 2.0, 3.0, 3.0]
    """

    first: float = 0.02
    longest: float = 1.0
    growth: float = 2.0
    outage: float = 300.0
    sleep: Callable[[float], object] = field(default=time.sleep, repr=False)
    monotonic: Callable[[], float] = field(default=time.monotonic, repr=False)

    def pauses(self) -> Iterator[None]:
        """Wait, a little longer each time it is advanced."""
        pause = self.first
        while True:
            self.sleep(pause)
            yield
            pause = min(pause * self.growth, self.longest)

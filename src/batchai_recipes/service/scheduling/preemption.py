"""Taking low-priority nodes away, as a cloud does when it needs them for others."""

import heapq
import math
import random
from collections.abc import Iterable
from datetime import datetime, timedelta

# A thousand years: what is later than calendars go cannot be written down.
_LONGEST_HOURS = 24.0 * 365_250


class Preemption:
    """Decides when a low-priority node is taken away.

    Each node's time is exponentially distributed, which has no memory: a service that starts again
    may draw it anew and nothing about it has to be kept.

    Args:
        per_hour: How often a node is preempted on average, per hour; 0 for never.
        seed: Makes the times the same in each run; None for any.

    Raises:
        ValueError: The rate is negative or not finite.

    Example:
        >>> noon = datetime(2018, 6, 6, 12)
        >>> preemption = Preemption(per_hour=60, seed=1)
        >>> preemption.watch(["node"], noon)
        >>> preemption.due(noon), preemption.due(noon + timedelta(hours=1))
        ([], ['node'])
    """

    def __init__(self, per_hour: float = 0.0, *, seed: int | None = None) -> None:
        if not 0 <= per_hour < math.inf:
            raise ValueError(
                f"A preemption rate of {per_hour:g} per hour cannot be: use 0 for never, or more"
            )
        self._per_hour = per_hour
        self._random = random.Random(seed)  # noqa: S311  # no secret
        self._times: list[tuple[datetime, str]] = []
        self._watched: set[str] = set()

    def watch(self, node_ids: Iterable[str], now: datetime) -> None:
        """Begin with nodes; those that are known already are left as they are.

        Args:
            node_ids: The nodes.
            now: The present time.
        """
        if not self._per_hour:
            return
        for node_id in node_ids:
            if node_id not in self._watched:
                hours = self._random.expovariate(1.0) / self._per_hour
                after = timedelta(hours=min(hours, _LONGEST_HOURS))
                heapq.heappush(self._times, (now + after, node_id))
                self._watched.add(node_id)

    def due(self, now: datetime) -> list[str]:
        """Return the nodes whose time has come, each once; they may be gone already.

        Args:
            now: The present time.
        """
        due = []
        while self._times and self._times[0][0] <= now:
            _, node_id = heapq.heappop(self._times)
            self._watched.discard(node_id)
            due.append(node_id)
        return due

    def next_time(self) -> datetime | None:
        """Return when the next node's time comes, or None."""
        return self._times[0][0] if self._times else None

"""Which clusters of a session have idled or lived for too long."""

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from batchai_recipes.builders.cluster_limits import ClusterLimits

if TYPE_CHECKING:
    from azure.mgmt.batchai.models import Cluster


def seconds_since_made(cluster: "Cluster", now: datetime) -> float:
    """Return for how long a cluster has lived, in seconds; 0 where the service does not tell.

    Args:
        cluster: The cluster, as the service describes it.
        now: The service's present time.
    """
    made: datetime | None = getattr(cluster, "creation_time", None)
    return (now - made).total_seconds() if made else 0.0


class ClusterAge:
    """Tells when one cluster is due.

    Args:
        limits: How long it may stay.
        monotonic: Tells seconds on a clock that never goes back.
        lived: For how many seconds it has lived already.

    Example:
        >>> now = [0.0]
        >>> age = ClusterAge(ClusterLimits(idle_timeout=60, max_lifetime=100), lambda: now[0])
        >>> age.due(busy=lambda: False)
        >>> now[0] = 60.0
        >>> age.due(busy=lambda: False)
        'it had no job for 60 s (idle_timeout)'
        >>> age.due(busy=lambda: True)
        >>> now[0] = 100.0
        >>> age.due(busy=lambda: True)
        'it has lived for 100 s (max_lifetime)'
    """

    def __init__(
        self, limits: ClusterLimits, monotonic: Callable[[], float], lived: float = 0.0
    ) -> None:
        self._limits = limits
        self._monotonic = monotonic
        self._born = monotonic() - lived
        self._idle_since: float | None = None

    def due(self, busy: Callable[[], bool]) -> str | None:
        """Say why the cluster is to be deleted now.

        Args:
            busy: Asks whether a job runs on it or waits for it.

        Returns:
            The reason; None while it may stay.
        """
        now = self._monotonic()
        longest, idle = self._limits.max_lifetime, self._limits.idle_timeout
        if longest is not None and now - self._born >= longest:
            return f"it has lived for {longest:g} s (max_lifetime)"
        if idle is None or busy():
            self._idle_since = None
            return None
        self._idle_since = now if self._idle_since is None else self._idle_since
        if now - self._idle_since >= idle:
            return f"it had no job for {idle:g} s (idle_timeout)"
        return None

"""How long clusters of a session may idle and live, and which of them are due."""

from collections.abc import Callable

from attrs import frozen

from batchai_recipes.errors import ConfigurationError


@frozen
class ClusterLimits:
    """How long the clusters that a session made may stay.

    Args:
        idle_timeout: After how many seconds without a job a cluster is deleted; None for never.
        max_lifetime: After how many seconds a cluster is deleted in any case, its jobs terminated;
            None for never.

    Raises:
        ConfigurationError: A time is not above 0.
    """

    idle_timeout: float | None = None
    max_lifetime: float | None = None

    def __attrs_post_init__(self) -> None:
        for name in ("idle_timeout", "max_lifetime"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ConfigurationError(
                    f"{name} is {value!r}: give seconds above 0, or None for no limit"
                )

    @property
    def shortest(self) -> float | None:
        """The shorter of the two in seconds; None where there is neither."""
        given = [one for one in (self.idle_timeout, self.max_lifetime) if one is not None]
        return min(given, default=None)


class ClusterAge:
    """Tells when one cluster is due.

    Args:
        limits: How long it may stay.
        monotonic: Tells seconds on a clock that never goes back.

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

    def __init__(self, limits: ClusterLimits, monotonic: Callable[[], float]) -> None:
        self._limits = limits
        self._monotonic = monotonic
        self._born = monotonic()
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

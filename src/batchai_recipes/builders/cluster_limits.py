"""How long clusters of a session may idle and live."""

from attrs import frozen

from batchai_recipes.seconds import checked_seconds


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
            checked_seconds(name, value, without="for no limit", above_zero=True)

    def __str__(self) -> str:
        given = (
            f"{name} {getattr(self, name):g} s"
            for name in ("idle_timeout", "max_lifetime")
            if getattr(self, name) is not None
        )
        return ", ".join(given) or "no limit"

    @property
    def shortest(self) -> float | None:
        """The shorter of the two in seconds; None where there is neither."""
        given = [one for one in (self.idle_timeout, self.max_lifetime) if one is not None]
        return min(given, default=None)

    def or_else(self, others: "ClusterLimits") -> "ClusterLimits":
        """Return these limits, with others in the place of those that there are not.

        Args:
            others: The others.

        Example:
            >>> ClusterLimits(60).or_else(ClusterLimits(5, 100))
            ClusterLimits(idle_timeout=60, max_lifetime=100)
        """
        return ClusterLimits(
            others.idle_timeout if self.idle_timeout is None else self.idle_timeout,
            others.max_lifetime if self.max_lifetime is None else self.max_lifetime,
        )

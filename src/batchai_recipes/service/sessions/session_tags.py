"""The tags of a workspace that a session made: whose it is, until when, and what may stay how long.

They are the whole of what the service knows of sessions: clients write them, as docs/sessions.md
says. What cannot be read is passed over, for nothing must be deleted that nobody asked to delete.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Final

from attrs import field, frozen

from batchai_recipes.tag_values import limit, moment

SESSION: Final = "batchai-recipes-session"
LEASE: Final = "batchai-recipes-lease"
DETACHED: Final = "batchai-recipes-detached"
SHARE: Final = "batchai-recipes-share"
LIMITS: Final = "batchai-recipes-limits"

_LEASE_TAGS: Final = "batchai-recipes-"
_IDLE: Final = "idle_timeout"
_LIFE: Final = "max_lifetime"


@frozen
class ClusterLimits:
    """How long a cluster may stay.

    Args:
        idle_timeout: How many seconds without a job; None for no limit.
        max_lifetime: How many seconds since it was made; None for no limit.
    """

    idle_timeout: float | None = None
    max_lifetime: float | None = None


@frozen
class SessionTags:
    """What the tags of a workspace say of the session that made it.

    Args:
        session: The session's id.
        until: When its lease ends; None for never, since it was kept on purpose.
        detached: Whether no process has it although the lease has not ended: that ends at its
            deadline.
        shares: The file shares that it uses, each an account and a name.
        limits: How long clusters may stay, by their names in lower case.

    Example:
        >>> tags = SessionTags.of({
        ...     "batchai-recipes-session": "s",
        ...     "batchai-recipes-lease": "2026-11-24T12:00:00+00:00",
        ...     "batchai-recipes-limits": "mycluster idle_timeout=600.0",
        ... })
        >>> tags.limits
        {'mycluster': ClusterLimits(idle_timeout=600.0, max_lifetime=None)}
        >>> SessionTags.of({"mine": "yes"}) is None
        True
    """

    session: str
    until: datetime | None
    detached: bool = False
    shares: tuple[tuple[str, str], ...] = ()
    limits: Mapping[str, ClusterLimits] = field(factory=dict)

    @classmethod
    def of(cls, tags: Mapping[str, str]) -> "SessionTags | None":
        """Read the tags of a workspace.

        Args:
            tags: The tags.

        Returns:
            What they say; None where they are not a session's.
        """
        session, lease = tags.get(SESSION), tags.get(LEASE)
        if not session or not lease:
            return None
        until = None if lease == "kept" else moment(lease)
        if until is None and lease != "kept":
            return None
        places = (value.partition("/") for value in _numbered(tags, SHARE))
        return cls(
            session,
            until,
            tags.get(DETACHED) == "yes",
            tuple((account, share) for account, _, share in places if account and share),
            dict(_limits(tags)),
        )

    @staticmethod
    def without_lease(tags: Mapping[str, str]) -> dict[str, str]:
        """Return tags without those that make a workspace a session's.

        Args:
            tags: The tags.
        """
        return {name: text for name, text in tags.items() if not name.startswith(_LEASE_TAGS)}

    def has_ended(self, now: datetime) -> bool:
        """Tell whether the session was handed over until a deadline, and that has come.

        Args:
            now: The present time.
        """
        return self.detached and self.until is not None and self.until <= now

    def is_unattended(self, now: datetime) -> bool:
        """Tell whether no process sees to the session, and it was not kept on purpose.

        Args:
            now: The present time.
        """
        return self.until is not None and (self.detached or self.until <= now)


def _numbered(tags: Mapping[str, str], name: str) -> Iterator[str]:
    """Yield what there is several of; one tag has no room for many."""
    for number in range(1, len(tags) + 1):
        value = tags.get(name if number == 1 else f"{name}-{number}")
        if value:
            yield value


def _limits(tags: Mapping[str, str]) -> Iterator[tuple[str, ClusterLimits]]:
    for value in _numbered(tags, LIMITS):
        cluster, *words = value.split() or [""]
        given = {name: limit(text) for name, _, text in (word.partition("=") for word in words)}
        limits = ClusterLimits(given.get(_IDLE), given.get(_LIFE))
        if limits != ClusterLimits():
            yield cluster.lower(), limits

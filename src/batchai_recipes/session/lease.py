"""The lease of a session: tags that say on the service itself whose something is, and how long."""

import os
import socket
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Final

from attrs import asdict, evolve, field, frozen

from batchai_recipes.builders.cluster_limits import ClusterLimits
from batchai_recipes.tag_values import limit, moment

SESSION_TAG: Final = "batchai-recipes-session"
OWNER_TAG: Final = "batchai-recipes-owner"
LEASE_TAG: Final = "batchai-recipes-lease"
SHARE_TAG: Final = "batchai-recipes-share"
EXPERIMENT_TAG: Final = "batchai-recipes-experiment"
DETACHED_TAG: Final = "batchai-recipes-detached"
LIMITS_TAG: Final = "batchai-recipes-limits"
SHARE_METADATA: Final = "batchai_recipes_session"
"""The metadata of a file share that says which session made it."""

LEASE: Final = timedelta(minutes=15)
"""How long a session is taken to live after it was last heard of."""

KEPT: Final = "kept"
"""In the place of the time until which something is used: for good, on purpose."""

_DETACHED: Final = "yes"
_START: Final = "batchai-recipes-"


def this_process(pid: int | None = None) -> str:
    """Return the name of a process of this machine in a lease.

    Args:
        pid: Its id; None for this process's.
    """
    return f"{socket.gethostname()}/{pid or os.getpid()}"[:256]


def _numbered(tag: str, count: int) -> list[str]:
    """Return the names of the tags for so many of a kind: a tag has no room for many."""
    return [tag if number == 1 else f"{tag}-{number}" for number in range(1, count + 1)]


def _written(cluster: str, limits: ClusterLimits) -> str:
    given = {name: value for name, value in asdict(limits).items() if value is not None}
    return " ".join([cluster, *(f"{name}={float(value)!r}" for name, value in given.items())])


def _read(text: str) -> tuple[str, ClusterLimits] | None:
    cluster, *words = text.split() or [""]
    given = {name: limit(number) for name, _, number in (word.partition("=") for word in words)}
    limits = ClusterLimits(given.get("idle_timeout"), given.get("max_lifetime"))
    return (cluster, limits) if limits.shortest else None


def _is_share(text: str) -> bool:
    account, _, share = text.partition("/")
    return bool(account and share)


def without_lease(tags: Mapping[str, str] | None) -> dict[str, str]:
    """Return tags without a lease.

    Args:
        tags: The tags; those of others stay.
    """
    return {name: tag for name, tag in (tags or {}).items() if not name.startswith(_START)}


@frozen
class Lease:
    """Whose a workspace or resource group is, and until when it must be left alone.

    Args:
        session: The session's id.
        expires: When the lease runs out, by the service's clock; None for never, since what has it
            was kept on purpose.
        shares: The file shares that the session uses, each as ``ACCOUNT/SHARE``.
        owner: The machine and the process.
        experiment: The session's experiment in its workspace; empty where that is not told.
        detached: Whether no process has the session, although the lease has not run out.
        limits: How long clusters may stay, by their names.

    Example:
        >>> lease = Lease("s", datetime(2026, 11, 24, tzinfo=timezone.utc), owner="host/1")
        >>> lease.tags()["batchai-recipes-lease"]
        '2026-11-24T00:00:00+00:00'
        >>> Lease.from_tags(lease.tags()) == lease
        True
    """

    session: str
    expires: datetime | None
    shares: tuple[str, ...] = ()
    owner: str = field(factory=this_process)
    experiment: str = ""
    detached: bool = False
    limits: Mapping[str, ClusterLimits] = field(factory=dict)

    @classmethod
    def from_tags(cls, tags: Mapping[str, str] | None) -> "Lease | None":
        """Read a lease from the tags of a resource.

        Args:
            tags: The tags.

        Returns:
            The lease; None where the tags are not a session's, or somebody changed them.
        """
        tags = tags or {}
        session, until = tags.get(SESSION_TAG), tags.get(LEASE_TAG)
        if not session or not until:
            return None
        expires = None if until == KEPT else moment(until)
        if expires is None and until != KEPT:
            return None
        shares = (tags.get(tag, "") for tag in _numbered(SHARE_TAG, len(tags)))
        limits = (_read(tags.get(tag, "")) for tag in _numbered(LIMITS_TAG, len(tags)))
        return cls(
            session,
            expires,
            tuple(filter(_is_share, shares)),
            tags.get(OWNER_TAG, "somebody"),
            tags.get(EXPERIMENT_TAG, ""),
            tags.get(DETACHED_TAG) == _DETACHED,
            dict(filter(None, limits)),
        )

    def tags(self) -> dict[str, str]:
        """Return the lease as tags."""
        until = self.expires.astimezone(timezone.utc).isoformat() if self.expires else KEPT
        tags = {SESSION_TAG: self.session, OWNER_TAG: self.owner, LEASE_TAG: until}
        if self.experiment:
            tags[EXPERIMENT_TAG] = self.experiment
        if self.detached:
            tags[DETACHED_TAG] = _DETACHED
        limits = [_written(cluster, limits) for cluster, limits in self.limits.items()]
        for tag, values in ((SHARE_TAG, self.shares), (LIMITS_TAG, limits)):
            tags |= zip(_numbered(tag, len(values)), values, strict=True)
        return tags

    def until(self, expires: datetime | None, *, detached: bool = False) -> "Lease":
        """Return the lease with another end.

        Args:
            expires: When it runs out; None for never.
            detached: Whether no process has the session until then.
        """
        return evolve(self, expires=expires, detached=detached)

    def written_over(self, tags: Mapping[str, str] | None) -> dict[str, str]:
        """Return tags with this lease in the place of another one.

        Args:
            tags: The tags; those of others stay.
        """
        return {**without_lease(tags), **self.tags()}

    def has_run_out(self, now: datetime) -> bool:
        """Tell whether the session has not been heard of for so long that it must be gone.

        Args:
            now: The service's present time.
        """
        return self.expires is not None and self.expires <= now

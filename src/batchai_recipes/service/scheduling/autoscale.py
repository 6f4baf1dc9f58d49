"""How many nodes a cluster with automatic scale shall have: pure decisions.

Source:
    The contract's AutoScaleSettings: the system scales between the minimum and the maximum "based
    on the number of queued and running jobs assigned to the cluster". The real service began to
    give up nodes about six minutes after the last job.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final, Literal

from attrs import frozen

SCALE_DOWN_AFTER: Final = timedelta(minutes=6)
"""How long the real service left a node of a cluster with automatic scale idle."""

RestingState = Literal["idle", "unusable"]
"""The states in which a node does nothing and will not by itself do anything."""


@frozen
class AutoScale:
    """The bounds of a cluster with automatic scale.

    Args:
        minimum: How many nodes it always has.
        maximum: How many it may have.
    """

    minimum: int
    maximum: int


@frozen
class NodeCounts:
    """How many nodes of a cluster there are that do not leave it.

    Args:
        working: Those that a job holds.
        ready: Those that are idle or preparing.
        unusable: Those whose preparation failed.
    """

    working: int
    ready: int
    unusable: int

    @property
    def staying(self) -> int:
        """All of them."""
        return self.working + self.ready + self.unusable


@frozen
class RestingNode:
    """A node that does nothing.

    Args:
        id: The node.
        state: Whether it could.
        since: Since when.
    """

    id: str
    state: RestingState
    since: datetime


def grown(counts: NodeCounts, waiting: int, scale: AutoScale) -> int:
    """Return how many nodes a cluster shall have so that its queued jobs can start.

    Args:
        counts: The nodes that it has.
        waiting: How many nodes its queued jobs need together; more than the maximum makes no
            difference.
        scale: Its bounds.

    Returns:
        The new target, which never takes a node away: that is for :func:`given_up` to say.

    Example:
        >>> grown(NodeCounts(working=2, ready=1, unusable=0), 3, AutoScale(0, 4))
        4
    """
    wanted = counts.unusable + counts.working + waiting
    return max(counts.staying, min(max(wanted, scale.minimum), scale.maximum))


def removable(counts: NodeCounts, waiting: int, scale: AutoScale) -> int:
    """Return how many nodes a cluster can do without.

    Args:
        counts: The nodes that it has.
        waiting: How many nodes its queued jobs need together.
        scale: Its bounds.

    Example:
        >>> removable(NodeCounts(working=1, ready=3, unusable=0), 1, AutoScale(0, 4))
        2
    """
    return max(counts.staying - max(counts.working + waiting, scale.minimum), 0)


def given_up(
    resting: Iterable[RestingNode], spare: int, now: datetime, patience: timedelta
) -> tuple[tuple[str, ...], datetime | None]:
    """Choose the nodes that have done nothing for too long.

    An unusable node goes whether or not the cluster can do without it: another may take its place.

    Args:
        resting: The nodes that do nothing, unusable ones first, then those that have done so for
            longest; no more of them are asked for than are needed.
        spare: How many the cluster can do without.
        now: The present time.
        patience: How long a node may do nothing.

    Returns:
        The nodes to give up, the longest idle first; and when to look again, if ever.

    Example:
        >>> noon = datetime(2018, 6, 6, 12)
        >>> nodes = [RestingNode("a", "idle", noon), RestingNode("b", "idle", noon)]
        >>> given_up(nodes, 1, noon + timedelta(minutes=6), timedelta(minutes=6))
        (('a',), None)
    """
    leaving: list[str] = []
    later: list[datetime] = []
    for node in resting:
        if node.state == "idle" and len(leaving) >= spare:
            break
        end = node.since + patience
        if end <= now:
            leaving.append(node.id)
            continue
        later.append(end)
        if node.state == "idle":
            break
    return tuple(leaving), min(later, default=None)

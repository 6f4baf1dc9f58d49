"""Which job starts on which nodes, and which nodes a cluster gains or gives up: pure decisions."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from attrs import frozen

NodeState = Literal["preparing", "idle", "running", "leaving", "unusable"]
DeallocationOption = Literal["requeue", "terminate", "waitforjobcompletion"]


@frozen
class WaitingJob:
    """A queued job.

    Args:
        key: The job.
        cluster_key: The cluster it is meant for.
        node_count: How many nodes it needs at once.
        priority: Higher goes first.
        sequence: The order of arrival; lower goes first among equals.
        uid: What tells it from earlier jobs of the same name.
    """

    key: str
    cluster_key: str
    node_count: int
    priority: int
    sequence: int
    uid: str = ""


@frozen
class ClusterNodes:
    """What a cluster can offer.

    Args:
        idle: The nodes that may start a job now.
        size: How many nodes it has, or is about to have, that can run jobs sooner or later.
    """

    idle: Sequence[str]
    size: int


@frozen
class Placement:
    """A job and the nodes that it starts on, the first one being its master."""

    job_key: str
    node_ids: tuple[str, ...]


def place_jobs(
    waiting: Iterable[WaitingJob], clusters: Mapping[str, ClusterNodes]
) -> tuple[Placement, ...]:
    """Choose the jobs that start now.

    A job starts on all of its nodes at once or not at all. The first in line (by priority, then by
    arrival) that fits into its cluster but finds too few idle nodes keeps those behind it waiting,
    so that a large job is not overtaken for ever. One that its cluster is too small for keeps
    nobody waiting.

    Args:
        waiting: The queued jobs.
        clusters: What each cluster can offer; jobs of other clusters stay queued.

    Returns:
        The placements, first in line first.

    Example:
        >>> jobs = [WaitingJob("late", "c", 1, 0, 2), WaitingJob("early", "c", 1, 0, 1)]
        >>> place_jobs(jobs, {"c": ClusterNodes(["n1"], 1)})
        (Placement(job_key='early', node_ids=('n1',)),)
    """
    free = {key: list(cluster.idle) for key, cluster in clusters.items()}
    placements: list[Placement] = []
    for job in sorted(waiting, key=lambda job: (-job.priority, job.sequence)):
        idle = free.get(job.cluster_key)
        if idle is None or job.node_count > clusters[job.cluster_key].size:
            continue
        if job.node_count > len(idle):
            del free[job.cluster_key]  # whoever comes later waits for this one
            continue
        placements.append(Placement(job.key, tuple(idle[: job.node_count])))
        free[job.cluster_key] = idle[job.node_count :]
    return tuple(placements)


@frozen
class ClusterNode:
    """A node of a cluster.

    Args:
        id: The node.
        state: Its state.
        busy: Whether a job holds it.
    """

    id: str
    state: NodeState
    busy: bool


@frozen
class Resize:
    """What brings a cluster to its target.

    Args:
        add: How many nodes to make.
        leave: The nodes to give up.
    """

    add: int
    leave: tuple[str, ...]


_GIVEN_UP_FIRST: Sequence[NodeState] = ("unusable", "preparing", "idle", "running")


def resize_cluster(nodes: Sequence[ClusterNode], target: int) -> Resize:
    """Compare a cluster with its target.

    Nodes that are leaving do not count. Those that are of least use are given up first.

    Args:
        nodes: The cluster's nodes.
        target: How many it shall have.

    Returns:
        What to do; adds or gives up, never both.

    Example:
        >>> resize_cluster([ClusterNode("a", "running", True), ClusterNode("b", "idle", False)], 1)
        Resize(add=0, leave=('b',))
    """
    staying = [node for node in nodes if node.state != "leaving"]
    if len(staying) <= target:
        return Resize(target - len(staying), ())
    by_use = sorted(staying, key=lambda node: (node.busy, _GIVEN_UP_FIRST.index(node.state)))
    return Resize(0, tuple(node.id for node in by_use[: len(staying) - target]))

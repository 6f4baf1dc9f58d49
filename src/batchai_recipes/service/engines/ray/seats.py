"""Where nodes are in Ray: in which bundle of which placement group, on which machine."""

import threading
from collections import Counter
from collections.abc import Mapping, Sequence

from attrs import frozen

from batchai_recipes.service.engines.ray.messages import NodeFacts


@frozen
class _Seat:
    cluster_uid: str
    group: str
    bundle: int
    machine_id: str


class Seats:
    """Knows which bundles and machines are taken, and which groups are needed.

    Ray ends what runs in a group that is removed, so none is before it is known of every node where
    it is: of those that an earlier driver may have made, only they themselves know.

    Args:
        apart: Whether the nodes of a cluster are to be on machines of their own.
    """

    def __init__(self, *, apart: bool) -> None:
        self._apart = apart
        self._lock = threading.Condition()
        self._seats: dict[str, _Seat] = {}
        self._making: set[str] = set()
        # How many bundles each group has, where that is known.
        self._sizes: dict[str, int] = {}
        # The cluster of each node that may have a seat of which is not known.
        self._expected: dict[str, str] = {}
        self._is_to_tidy = False

    # Nodes of earlier drivers.

    def expect(self, node_id: str, cluster_uid: str) -> None:
        """Take note that an earlier driver may have made a node; nobody knows where.

        Args:
            node_id: The node.
            cluster_uid: Its cluster.
        """
        with self._lock:
            self._expected[node_id] = cluster_uid

    def expects(self, node_id: str) -> bool:
        """Tell whether an earlier driver may have made a node, nobody knows where.

        Args:
            node_id: The node.
        """
        with self._lock:
            return node_id in self._expected

    def adopt(self, node_id: str, cluster_uid: str, facts: NodeFacts) -> bool:
        """Take note of where a node is.

        Args:
            node_id: The node.
            cluster_uid: Its cluster.
            facts: What it said of itself.

        Returns:
            Whether it may be there: not on a machine that another of its cluster has, where each
            is to have its own. Ray may have moved its bundle before it was started.
        """
        with self._lock:
            self._settle(node_id)
            self._seats.pop(node_id, None)
            taken = self._taken(cluster_uid)
            self._seats[node_id] = _Seat(cluster_uid, facts.group, facts.bundle, facts.machine_id)
            return facts.machine_id not in taken

    # New groups.

    def begin(self, group: str, cluster_uid: str) -> None:
        """Let a group be made, once it is known where the nodes of its cluster are.

        Args:
            group: The name of the group, which is needed until :meth:`end`.
            cluster_uid: The cluster.
        """
        with self._lock:
            self._lock.wait_for(lambda: cluster_uid not in self._expected.values())
            self._making.add(group)

    def end(self, group: str) -> None:
        """Take note that a group has its nodes, or will have none.

        Args:
            group: The name of the group.
        """
        with self._lock:
            self._making.discard(group)

    def take_all(
        self, node_ids: Sequence[str], cluster_uid: str, group: str, machines: Mapping[int, str]
    ) -> bool:
        """Take the bundles of a new group, unless it is on machines that others have by now.

        Args:
            node_ids: The nodes, as many as there are bundles.
            cluster_uid: Their cluster.
            group: The name of the group.
            machines: The machine of each bundle.

        Returns:
            Whether they are taken.
        """
        with self._lock:
            if self._taken(cluster_uid) & set(machines.values()):
                return False
            self._sizes[group] = len(machines)
            for bundle, node_id in enumerate(node_ids):
                self._seats[node_id] = _Seat(cluster_uid, group, bundle, machines[bundle])
            return True

    def take_free(
        self, node_ids: Sequence[str], cluster_uid: str, group: str, machines: Mapping[int, str]
    ) -> dict[str, int]:
        """Take bundles of a group that some nodes of it have left.

        Args:
            node_ids: Nodes that look for some.
            cluster_uid: Their cluster.
            group: The name of the group.
            machines: The machine of each bundle; empty for one that has none now.

        Returns:
            The bundles of those that got one.
        """
        with self._lock:
            used = {seat.bundle for seat in self._seats.values() if seat.group == group}
            if not used:
                return {}  # it is being removed
            self._sizes[group] = len(machines)
            taken = {"", *self._taken(cluster_uid)}
            free = [i for i, at in machines.items() if i not in used and at not in taken]
            found = dict(zip(node_ids, free, strict=False))
            for node_id, bundle in found.items():
                self._seats[node_id] = _Seat(cluster_uid, group, bundle, machines[bundle])
            return found

    # What is taken.

    def leave(self, node_id: str) -> str | None:
        """Take note that a node is gone, or never was.

        Args:
            node_id: The node.

        Returns:
            The name of its group, if that is to be removed now.
        """
        with self._lock:
            self._settle(node_id)
            seat = self._seats.pop(node_id, None)
            if seat is None or self._holds_nodes(seat.group):
                return None
            self._sizes.pop(seat.group, None)
            self._is_to_tidy |= bool(self._expected)
            return None if self._expected else seat.group

    def ask_to_tidy(self) -> None:
        """Have the groups without nodes removed, as soon as it is known which these are."""
        with self._lock:
            self._is_to_tidy = True

    def is_to_tidy(self) -> bool:
        """Tell, once each time, whether groups without nodes are to be removed now."""
        with self._lock:
            now = self._is_to_tidy and not self._expected
            self._is_to_tidy &= not now
            return now

    def is_needed(self, group: str) -> bool:
        """Tell whether a group has or may have a node, or is being made.

        Args:
            group: Its name.
        """
        with self._lock:
            return bool(self._expected) or self._holds_nodes(group)

    def groups_with_room(self, cluster_uid: str) -> list[str]:
        """Return the names of the groups of a cluster's nodes that have, or may have, free bundles.

        Args:
            cluster_uid: The cluster.
        """
        with self._lock:
            used = Counter(seat.group for seat in self._of(cluster_uid))
            return sorted(g for g, count in used.items() if count < self._sizes.get(g, count + 1))

    def machines(self, cluster_uid: str) -> list[str]:
        """Return the ids of the machines that nodes of a cluster are on.

        Args:
            cluster_uid: The cluster.
        """
        with self._lock:
            return sorted({seat.machine_id for seat in self._of(cluster_uid)})

    def _taken(self, cluster_uid: str) -> set[str]:
        """Return the machines on which no further node of a cluster may be."""
        return {seat.machine_id for seat in self._of(cluster_uid)} if self._apart else set()

    def _of(self, cluster_uid: str) -> list[_Seat]:
        return [seat for seat in self._seats.values() if seat.cluster_uid == cluster_uid]

    def _holds_nodes(self, group: str) -> bool:
        return group in self._making or any(seat.group == group for seat in self._seats.values())

    def _settle(self, node_id: str) -> None:
        self._expected.pop(node_id, None)
        self._lock.notify_all()

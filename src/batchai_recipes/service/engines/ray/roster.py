"""What the driver is told of a service's nodes: which are to be made, found or removed."""

import threading
from collections.abc import Iterator, Mapping

from batchai_recipes.service.engines.ray.driver_link import DriverLink
from batchai_recipes.service.engines.ray.messages import (
    Adopt,
    EarlierNode,
    Make,
    Release,
    Sweep,
    WantedNode,
)
from batchai_recipes.service.engines.ray.nodes import KnownNode, KnownNodes


class Roster:
    """Keeps in one order what becomes of nodes and what the driver is told of that.

    So a driver hears nothing of a node after it heard that it is released.

    Args:
        nodes: The nodes.
        link: Leads to the driver.
    """

    def __init__(self, nodes: KnownNodes, link: DriverLink) -> None:
        self._nodes = nodes
        self._link = link
        self._lock = threading.Lock()

    def want(self, wanted: WantedNode) -> KnownNode:
        """Find a node; have it made where nobody has asked for it before.

        Args:
            wanted: What is asked for.

        Raises:
            EngineError: It cannot be written down.
        """
        with self._lock:
            known, is_new = self._nodes.want(wanted)
            if is_new:
                self._link.send(Make(known.wanted))  # where there is no driver, the next is told
            return known

    def release(self, node_id: str) -> None:
        """Forget a node, and have it removed.

        Args:
            node_id: The node.

        Raises:
            EngineError: Its folder cannot be removed.
        """
        with self._lock:
            self._nodes.forget(node_id)
            self._link.send(Release(node_id))

    def introduce(self) -> list[str]:
        """Tell a new driver of all nodes.

        Returns:
            Those that are there or being made.
        """
        with self._lock:
            living = self._nodes.living()
            # First those of which is not known where they are: a lost one may share their group.
            for known in living.values():
                if known.facts is None:
                    self._link.send(Make(known.wanted))
            earlier = tuple(_earlier(living))
            if earlier:
                self._link.send(Adopt(earlier))
            self._link.send(Sweep(tuple(living)))
            return list(living)


def _earlier(living: Mapping[str, KnownNode]) -> Iterator[EarlierNode]:
    for node_id, known in living.items():
        if known.facts is not None:
            yield EarlierNode(node_id, known.facts, known.wanted.machine.cluster_uid)

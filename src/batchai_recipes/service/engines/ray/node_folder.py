"""The folder that a node has on its machine, among those of the service's other nodes there."""

from collections.abc import Iterator

from batchai_recipes.service.file_lock import FileLock
from batchai_recipes.service.state_directory import StateDirectory


class NodeFolder:
    """Tells the other nodes of the machine that the node's folder is in use, by a lock.

    Args:
        state: What the service's nodes share on this machine.
        node_id: The node.
    """

    def __init__(self, state: StateDirectory, node_id: str) -> None:
        self._nodes = state.nodes
        self._node_id = node_id
        self._place = state.nodes / f"{node_id}.lock"
        self._lock = FileLock(self._place)
        self._lock.exclusive()

    def left_over(self) -> Iterator[str]:
        """Yield the nodes whose actors were killed, each until its folder has been removed."""
        for place in self._nodes.glob("*.lock"):
            lock = FileLock(place)
            if place.stem != self._node_id and lock.try_exclusive():
                yield place.stem
                place.unlink(missing_ok=True)
            lock.release()

    def leave(self) -> None:
        """Say that nobody uses it any more."""
        self._place.unlink(missing_ok=True)

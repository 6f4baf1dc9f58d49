"""The nodes of a service as it knows them, each with a file of its own."""

import json
import os
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from attrs import asdict, define

from batchai_recipes.service.engines.engine import EngineError, Machine
from batchai_recipes.service.engines.folders import remove_folder
from batchai_recipes.service.engines.gpus import DEVICES
from batchai_recipes.service.engines.ray.messages import NodeFacts, Prepared, WantedNode
from batchai_recipes.service.engines.ray.peers import Peer

_FILE: Final = "node.json"


@define
class KnownNode:
    """A node.

    Args:
        wanted: What was asked for.
        facts: What it said of itself, once it is there.
        prepared: What it said when its volumes were mounted.
        lost: Why it is no more, if so.
        refused: Why it could not be made, if so.
    """

    wanted: WantedNode
    facts: NodeFacts | None = None
    prepared: Prepared | None = None
    lost: str = ""
    refused: str = ""

    @property
    def is_living(self) -> bool:
        """Whether it is there, or being made."""
        return not (self.lost or self.refused)

    @property
    def is_ready(self) -> bool:
        """Whether it is there with its volumes."""
        return self.facts is not None and self.prepared is not None and not self.lost

    def save(self, folder: Path) -> None:
        """Write the node's file.

        Args:
            folder: The node's folder, made when missing.

        Raises:
            EngineError: It cannot be written.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
            temporary = folder / f".{_FILE}.{os.getpid()}"
            temporary.write_text(json.dumps(asdict(self)), encoding="utf-8")
            temporary.replace(folder / _FILE)
        except OSError as error:
            raise EngineError(f"The node cannot be written down: {error}") from error


class KnownNodes:
    """All nodes of a service; each change is written down.

    Args:
        folder: The folder of the nodes' folders.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.RLock()
        self._nodes: dict[str, KnownNode] = {}

    def load(self) -> None:
        """Read what an earlier service has written down."""
        with self._lock:
            self._nodes = {
                place.parent.name: _node(json.loads(place.read_text(encoding="utf-8")))
                for place in self._folder.glob(f"*/{_FILE}")
            }

    def find(self, node_id: str) -> KnownNode | None:
        """Find a node.

        Args:
            node_id: The node.
        """
        return self._nodes.get(node_id)

    def want(self, wanted: WantedNode) -> tuple[KnownNode, bool]:
        """Find a node, which is a new one where nobody has asked for it before.

        Args:
            wanted: What is asked for.

        Returns:
            The node, and whether it is new.

        Raises:
            EngineError: It cannot be written down.
        """
        with self._lock:
            known = self._nodes.get(wanted.node_id)
            if known is not None:
                return known, False
            known = self._nodes[wanted.node_id] = KnownNode(wanted)
            self._save(known)
            return known, True

    def welcome(self, node_id: str, facts: NodeFacts) -> bool:
        """Take note that a node is there.

        Args:
            node_id: The node.
            facts: What it says of itself.

        Returns:
            Whether it is wanted.

        Raises:
            EngineError: It cannot be written down.
        """
        with self._lock:
            known = self._nodes.get(node_id)
            if known is None or not known.is_living:
                return False
            known.facts = facts
            self._save(known)
            return True

    def prepared(self, known: KnownNode, prepared: Prepared) -> None:
        """Take note that a node has its volumes.

        Args:
            known: The node.
            prepared: What it says.

        Raises:
            EngineError: It cannot be written down.
        """
        with self._lock:
            known.prepared = prepared
            if self._nodes.get(known.wanted.node_id) is known:  # it has not been forgotten since
                self._save(known)

    def lose(self, node_id: str, why: str) -> bool:
        """Take note that a node is no more, or could not be made.

        Args:
            node_id: The node.
            why: Why.

        Returns:
            Whether that is news.

        Raises:
            EngineError: It cannot be written down.
        """
        with self._lock:
            known = self._nodes.get(node_id)
            if known is None or not known.is_living:
                return False
            if known.facts is None:
                known.refused = why
            else:
                known.lost = why
            self._save(known)
            return True

    def forget(self, node_id: str) -> None:
        """Forget a node, and remove its folder.

        Args:
            node_id: The node.

        Raises:
            EngineError: It cannot be removed.
        """
        with self._lock:
            self._nodes.pop(node_id, None)
            remove_folder(self._folder / node_id)

    def living(self) -> dict[str, KnownNode]:
        """Return those that are there or being made, by id."""
        with self._lock:
            return {i: known for i, known in self._nodes.items() if known.is_living}

    def peers(self, node_ids: Iterable[str]) -> tuple[Peer, ...]:
        """Return nodes of a job as each of them is told of the others; those that are there.

        Args:
            node_ids: The nodes, the master first.
        """
        found = []
        for node_id in node_ids:
            known = self._nodes.get(node_id)
            if known is not None and known.facts is not None and known.prepared is not None:
                facts, prepared = known.facts, known.prepared
                found.append(
                    Peer(
                        node_id,
                        facts.address,
                        facts.interface,
                        facts.network,
                        max(prepared.gpu_count, 1),
                        prepared.environment.get(DEVICES, ""),
                    )
                )
        return tuple(found)

    def _save(self, known: KnownNode) -> None:
        known.save(self._folder / known.wanted.node_id)


def _node(said: dict[str, Any]) -> KnownNode:
    wanted = said["wanted"]
    return KnownNode(
        WantedNode(wanted["node_id"], Machine(**wanted["machine"]), wanted["gpu_count"]),
        said["facts"] and NodeFacts(**said["facts"]),
        said["prepared"] and Prepared(**said["prepared"]),
        said["lost"],
        said["refused"],
    )

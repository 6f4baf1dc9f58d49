"""The nodes of a service as it knows them, each with a file of its own."""

import json
import os
from pathlib import Path
from typing import Any, Final

from attrs import asdict, define

from batchai_recipes.service.engines.engine import EngineError, Machine
from batchai_recipes.service.engines.ray.messages import NodeFacts, Prepared, WantedNode

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


def load_nodes(nodes: Path) -> dict[str, KnownNode]:
    """Read the files of all nodes.

    Args:
        nodes: The folder of the nodes' folders.
    """
    return {
        place.parent.name: _node(json.loads(place.read_text(encoding="utf-8")))
        for place in nodes.glob(f"*/{_FILE}")
    }


def _node(said: dict[str, Any]) -> KnownNode:
    wanted = said["wanted"]
    return KnownNode(
        WantedNode(wanted["node_id"], Machine(**wanted["machine"]), wanted["gpu_count"]),
        said["facts"] and NodeFacts(**said["facts"]),
        said["prepared"] and Prepared(**said["prepared"]),
        said["lost"],
        said["refused"],
    )

"""Makes Ray's actor of a node."""

import importlib
from typing import Any

from batchai_recipes.service.engines.ray.messages import Home


def actor_class() -> Any:
    """Return the class of Ray whose instances are nodes."""
    return importlib.import_module("ray").remote(_actor_body())


def _actor_body() -> Any:
    from batchai_recipes.service.engines.ray.node import RayNode  # noqa: PLC0415

    class NodeActor(RayNode):
        """A node that finds out by itself where Ray has put it."""

        def __init__(self, node_id: str, home: Home, group: str) -> None:
            ray = importlib.import_module("ray")
            super().__init__(
                node_id,
                home,
                group,
                str(ray.util.get_node_ip_address()),
                str(ray.get_runtime_context().get_node_id()),
            )

    return NodeActor

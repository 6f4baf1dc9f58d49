"""Makes Ray's actor of a node."""

import importlib
import os
from pathlib import Path
from typing import Any, Final

from batchai_recipes.service.engines.ray.attendance import Attendance, Verdict
from batchai_recipes.service.engines.ray.messages import Changes, Home

_ANSWER_SECONDS: Final = 60.0


def actor_class() -> Any:
    """Return the class of Ray whose instances are nodes."""
    return importlib.import_module("ray").remote(_actor_body())


def _actor_body() -> Any:
    from batchai_recipes.service.engines.ray.node import RayNode  # noqa: PLC0415  # on the node

    class NodeActor(RayNode):
        """A node that finds out by itself where Ray has put it."""

        def __init__(self, node_id: str, home: Home, group: str, bundle: int) -> None:
            ray = importlib.import_module("ray")

            def reach(other_id: str, method: str, /, *arguments: object) -> object:
                other = ray.get_actor(other_id, namespace=home.namespace)
                reference = getattr(other, method).remote(*arguments)
                return ray.get(reference, timeout=_ANSWER_SECONDS)

            context = ray.get_runtime_context()
            super().__init__(
                node_id,
                home,
                group,
                str(ray.util.get_node_ip_address()),
                str(context.get_node_id()),
                reach=reach,
                gpus=tuple(context.get_accelerator_ids()["GPU"]),
                bundle=bundle,
            )
            self._attendance = Attendance(
                Path(home.probe), sees_state=self.facts().sees_state, is_busy=self.is_busy
            )
            self._attendance.watch(self._leave)

        def changes(self, follower: int, received: int = 0, seconds: float = 0.0) -> Changes:
            """Say what has changed, and take note that somebody asks."""
            with self._attendance.asked():
                return super().changes(follower, received, seconds)

        def _leave(self, verdict: Verdict) -> None:
            from batchai_recipes.service.engines.ray.groups import (  # noqa: PLC0415  # on the node
                remove_groups,
            )

            ray = importlib.import_module("ray")
            self.end()
            own = ray.get_runtime_context().get_actor_name()
            others = [name for name in ray.util.list_named_actors() if name != own]
            if verdict == "deleted" or not others:
                remove_groups(lambda _: False)  # with all that is in them
            os._exit(0)

    return NodeActor

"""Nodes as Ray has them: named actors that outlive whoever made them."""

import contextlib
import importlib
from typing import Any, Final

from batchai_recipes.service.engines.ray.groups import Place, bundle_of
from batchai_recipes.service.engines.ray.messages import Home
from batchai_recipes.service.engines.ray.node_actor import actor_class

# Some wait, the others answer in the meantime.
_THREADS: Final = 16
_MOST_CHARACTERS: Final = 300


def make_actor(place: Place, home: Home) -> Any:
    """Make the actor of a node.

    Args:
        place: Where.
        home: What every node is told.
    """
    bundle = bundle_of(place.node)
    strategy = importlib.import_module("ray.util.scheduling_strategies")
    return (
        actor_class()
        .options(
            name=place.node.node_id,
            lifetime="detached",
            num_cpus=bundle["CPU"],
            num_gpus=bundle.get("GPU", 0),
            memory=bundle.get("memory"),
            max_restarts=0,
            max_concurrency=_THREADS,
            # Nobody reads them, and what Ray's head spends on them grows with the nodes.
            enable_task_events=False,
            scheduling_strategy=strategy.PlacementGroupSchedulingStrategy(
                place.group, placement_group_bundle_index=place.bundle
            ),
        )
        .remote(place.node.node_id, home, place.group_name, place.bundle)
    )


def find_actor(node_id: str) -> Any:
    """Find the actor of a node.

    Args:
        node_id: The node.

    Returns:
        The actor, or None where Ray has none.
    """
    try:
        return importlib.import_module("ray").get_actor(node_id)
    except ValueError:
        return None


def actor_names() -> list[str]:
    """Return the names of all actors of the service."""
    names: list[str] = importlib.import_module("ray").util.list_named_actors()
    return names


def end_actor(actor: Any, seconds: float) -> None:
    """Have a node end what runs on it, and then kill it in any case.

    Args:
        actor: The node's actor.
        seconds: How long it may take.
    """
    with contextlib.suppress(Exception):
        importlib.import_module("ray").get(actor.end.remote(), timeout=seconds)
    kill_actor(actor)


def kill_actor(actor: Any) -> None:
    """Kill an actor, which may be gone or out of reach.

    Args:
        actor: The actor.
    """
    with contextlib.suppress(Exception):
        importlib.import_module("ray").kill(actor)


def is_passing(error: BaseException) -> bool:
    """Tell whether an actor that could not be asked may be there nevertheless.

    Args:
        error: What Ray said.
    """
    return type(error).__name__ in {"ActorUnavailableError", "GetTimeoutError"}


def has_failed_itself(error: BaseException) -> bool:
    """Tell whether an actor is dead because it could not begin, as it could not elsewhere either.

    Args:
        error: What Ray said.
    """
    return bool(getattr(error, "actor_init_failed", False))


def raised_by_node(error: BaseException) -> BaseException | None:
    """Return what a method of an actor raised; None where it was not the method that failed.

    Args:
        error: What Ray said.
    """
    # Ray makes a class of this name for each class of exceptions: RayTaskError(OSError).
    if not type(error).__name__.startswith("RayTaskError"):
        return None
    cause = getattr(error, "cause", None)
    return cause if isinstance(cause, Exception) else error


def first_line(error: BaseException) -> str:
    """Shorten what Ray says of a dead actor to its first sentence and the cause.

    Args:
        error: What Ray said.

    Example:
        >>> first_line(RuntimeError(chr(10).join(["failed", "The actor is dead because of x"])))
        'The actor is dead because of x'
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    cause = next((line for line in lines if line.startswith("The actor is dead because")), "")
    return (cause or (lines[0] if lines else type(error).__name__))[:_MOST_CHARACTERS]

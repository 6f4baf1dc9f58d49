"""What ``mpirun`` cannot do on a Ray cluster."""

from batchai_recipes.service.engines.engine import EngineError
from batchai_recipes.service.engines.ray.messages import Launch
from batchai_recipes.service.engines.ray.peers import at


def check_mpi(
    launch: Launch, address: str, *, in_container: bool, has_copies: bool, state: str
) -> None:
    """Refuse what would fail, or lose what it writes, without anybody being told.

    Args:
        launch: A task, which may start ``mpirun``.
        address: The address of its node.
        in_container: Whether the task runs in a container.
        has_copies: Whether the node has copies of shares, since it does not see them.
        state: The service's state directory, for messages.

    Raises:
        EngineError: It would.
    """
    if "mpirun" not in launch.task.command_line:
        return
    neighbours = len(at(address, launch.peers))
    if in_container and neighbours < len(launch.peers):
        raise EngineError(
            "mpirun in a container reaches no other machine: start the service with "
            "--containers never, or with --ray-strategy PACK"
        )
    if has_copies and neighbours > 1:
        raise EngineError(
            "mpirun on several nodes of one machine needs to see the service's state "
            f"directory there: mount {state} on {address}, or start the service with "
            "--ray-strategy STRICT_SPREAD"
        )

"""What a toolkit is: the settings of a job, turned into processes on its nodes."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from attrs import Factory, field, frozen

from batchai_recipes.service.engines.engine import Node


class ToolkitError(Exception):
    """The settings cannot be run; the message says why and what to do."""


@frozen
class Role:
    """What a process does in its job, and what its files are called.

    Args:
        name: Begins the names of its tasks, and no other role's name begins with it.
        label: What execution logs and errors call it; ``{}`` is its index.
        suffix: What follows ``stdout`` and ``stderr`` in the names of its files.
        follows: Whether it ends with the job, however that ends, and so does not decide on it.

    Source:
        The file names that Batch AI's recipes stream: ``stdout.txt``, ``stdout-0.txt`` (PyTorch),
        ``stdout-wk-0.txt`` (TensorFlow); that of parameter servers is made after them.
    """

    name: str
    label: str
    suffix: str
    follows: bool = False


PROCESS: Final = Role("process", "job", "")
MPIRUN: Final = Role("mpirun", "job", "")
RANK: Final = Role("rank", "rank {}", "-{}")
MASTER: Final = Role("master", "master", "-wk-{}")
WORKER: Final = Role("worker", "worker {}", "-wk-{}", follows=True)
SERVER: Final = Role("server", "parameter server {}", "-ps-{}", follows=True)

ROLES: Final[Mapping[str, Role]] = {
    role.name: role for role in (PROCESS, MPIRUN, RANK, MASTER, WORKER, SERVER)
}
"""The roles by name."""


@frozen
class ToolkitJob:
    """What a toolkit needs to know of a job.

    Args:
        settings: The job's settings for this toolkit, as sent over the wire.
        nodes: Its nodes, the master first.
        variables: What its processes find on each node, without what is a process's own.
        interpreter: The Python to use where the settings name none.
        shared_temp: A folder that all nodes see.
        ports: Gives free ports of a node, by the node's index and how many are needed; the same
            ones whenever it is asked.
    """

    settings: Mapping[str, Any]
    nodes: tuple[Node, ...]
    variables: tuple[Mapping[str, str], ...] = field(repr=False)
    interpreter: str
    shared_temp: str
    ports: Callable[[int, int], tuple[int, ...]] = field(repr=False)


@frozen
class Process:
    """One process of a job.

    Args:
        node_index: The node it runs on, counted from the master, which is 0.
        command_line: What a shell on the node runs.
        program: Its program where that has a path; the folder of it comes first on ``PATH``.
        environment: Variables of this process alone.
        role: What it does in the job.
        index: Its number among those of its role's kind: its ``AZ_BATCHAI_TASK_INDEX``.
    """

    node_index: int
    command_line: str
    program: str
    environment: Mapping[str, str] = Factory(dict)
    role: Role = PROCESS
    index: int = 0


Toolkit = Callable[[ToolkitJob], tuple[Process, ...]]
"""Makes the processes of a job, those that decide on it first. Raises ToolkitError."""

"""What the service, the driver of Ray and the nodes say to each other. All of it is pickled."""

from collections.abc import Mapping

from attrs import field, frozen

from batchai_recipes.service.engines.containers import ContainerPolicy
from batchai_recipes.service.engines.engine import (
    EngineError,
    Machine,
    Mount,
    MountError,
    Owner,
    Task,
    TaskStatus,
)
from batchai_recipes.service.engines.ray.peers import Peer
from batchai_recipes.service.engines.ray.share_copies import Change, ShareSource


@frozen
class Home:
    """What every node of a service is told.

    Args:
        service_id: Tells the service from others that use the same Ray cluster.
        folder: The folder of the service on each machine.
        probe: A file of the service's state directory; a node that finds it, with the service's id
            in it, sees that directory.
        state: The service's state directory.
        containers: When tasks that want a container get it.
        memory_limit_bytes: How much memory a task may have; None for all there is.
        cache_bytes: How much of shares that a machine does not see it keeps between jobs.
    """

    service_id: str
    folder: str
    probe: str
    state: str
    containers: ContainerPolicy = "auto"
    memory_limit_bytes: int | None = None
    cache_bytes: int = 20 << 30

    @property
    def namespace(self) -> str:
        """The namespace of Ray in which the service's actors and placement groups are."""
        return f"batchai-{self.service_id}"


@frozen
class WantedNode:
    """A node to be made.

    Args:
        node_id: The node.
        machine: What it asks of its machine.
        gpu_count: How many GPUs it asks for.
    """

    node_id: str
    machine: Machine
    gpu_count: int


@frozen
class NodeFacts:
    """What a node says of itself.

    Args:
        address: How other nodes reach it.
        interface: The network interface that has the address; empty where that is not known.
        machine_id: Ray's id of its machine.
        group: The name of its placement group.
        sees_state: Whether it sees the service's state directory.
        network: The network that the address is in; empty where that is not known.
        bundle: The number of its bundle in the group.
    """

    address: str
    interface: str
    machine_id: str
    group: str
    sees_state: bool
    network: str = ""
    bundle: int = 0


@frozen
class Prepared:
    """A node with its volumes.

    Args:
        mount_root: The folder of its volumes, as its processes see it.
        gpu_count: How many GPUs its processes may use.
        environment: The variables that every process on it starts with.
    """

    mount_root: str
    gpu_count: int
    environment: Mapping[str, str]


@frozen
class Launch:
    """A task to be launched on a node.

    Args:
        task: The task.
        run: The name of the run of its job: the job's uid and what tells this run from others; the
            node's id for a task of the node.
        mounts: The job's own volumes.
        peers: The nodes of its job, the master first; none for a task of the node.
        sources: Where to get those of the volumes that are shares.
    """

    task: Task
    run: str
    mounts: tuple[Mount, ...] = ()
    peers: tuple[Peer, ...] = ()
    sources: tuple[ShareSource, ...] = ()

    @property
    def owner(self) -> tuple[Owner, str]:
        """Whose the task is: its kind, and its id or run."""
        return self.task.key.owner, self.run


@frozen
class DaemonEnd:
    """How a daemon of ``mpirun`` ended.

    Args:
        code: Its exit code, as a shell reports it.
        stdout: The end of its standard output.
        stderr: The end of its standard error.
    """

    code: int
    stdout: str = ""
    stderr: str = ""


@frozen
class Refusal:
    """A node cannot do what it was asked.

    Args:
        kind: The name of the exception.
        message: What is in the way.
    """

    kind: str
    message: str

    @property
    def error(self) -> EngineError:
        """The exception."""
        return (MountError if self.kind == MountError.__name__ else EngineError)(self.message)


@frozen
class Changes:
    """What has changed on a node since it was asked last.

    Args:
        tasks: The tasks of owners of which something has changed, by owner and its id or run.
        number: Tells these changes from others; the next request says that they have arrived.
        shares: What was written to copies of shares.
        wanted: The shares of which the node wants to know what is in them.
        whole: Whether these are all tasks that the node knows.
        superseded: Whether another driver asks by now.
    """

    tasks: Mapping[tuple[Owner, str], Mapping[str, TaskStatus]] = field(factory=dict)
    number: int = 0
    shares: tuple[Change, ...] = ()
    wanted: tuple[str, ...] = ()
    whole: bool = False
    superseded: bool = False


# From the driver to the service.


@frozen
class Connected:
    """The driver has found the Ray cluster."""


@frozen
class Failed:
    """The driver cannot go on, and ends.

    Args:
        message: Why.
    """

    message: str


@frozen
class Up:
    """A node is there.

    Args:
        node_id: The node.
        facts: What it says of itself.
    """

    node_id: str
    facts: NodeFacts


@frozen
class Waits:
    """A node has waited for a machine for a while, and goes on waiting.

    Args:
        node_id: The node.
        what_for: What it asks for, and what Ray has.
    """

    node_id: str
    what_for: str


@frozen
class Gone:
    """A node is no more, or was never made.

    Args:
        node_id: The node.
        why: Why.
        placed: Whether it ever had a machine.
    """

    node_id: str
    why: str
    placed: bool = True


@frozen
class Changed:
    """Something has changed on a node.

    Args:
        node_id: The node.
        changes: What.
    """

    node_id: str
    changes: Changes


@frozen
class Answer:
    """The answer of a node to a call.

    Args:
        number: The call.
        value: What the node returned.
        unreachable: Why it could not be asked, if so.
        unheard: Whether it certainly has not heard of it then.
    """

    number: int
    value: object = field(default=None, repr=False)
    unreachable: str = ""
    unheard: bool = False


# From the service to the driver.


@frozen
class Make:
    """Make a node, or find the one that was made for an earlier service."""

    node: WantedNode


@frozen
class EarlierNode:
    """A node that an earlier driver had.

    Args:
        node_id: The node.
        facts: What it said of itself.
        cluster_uid: Its cluster.
    """

    node_id: str
    facts: NodeFacts
    cluster_uid: str


@frozen
class Adopt:
    """Find the nodes that an earlier driver had.

    Args:
        nodes: All of them: where some are lost, the placement group they shared with others stays.
    """

    nodes: tuple[EarlierNode, ...]


@frozen
class Call:
    """Have a node do something.

    Args:
        number: Tells the answer from others.
        node_id: The node.
        method: The actor's method.
        arguments: Its arguments.
    """

    number: int
    node_id: str
    method: str
    arguments: tuple[object, ...] = field(repr=False)


@frozen
class Release:
    """Remove a node."""

    node_id: str


@frozen
class Sweep:
    """Remove all nodes and placement groups of the service but those of given nodes."""

    node_ids: tuple[str, ...]


@frozen
class Leave:
    """Remove all nodes and placement groups of the service, which will not come back."""


@frozen
class Stop:
    """End, once what is being removed has been."""

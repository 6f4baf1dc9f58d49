"""What the scheduler asks of a place where processes run.

An engine knows nodes, the folders of jobs, and tasks: one command line on one node. It knows
nothing of Azure, of the records or of which job comes next. Every method may be called again after
a crash of the service, with the same arguments, and must then end in the same state.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Literal, Protocol

from attrs import field, frozen

from batchai_recipes.service.engines.file_end import FileEnd

EndReason = Literal["exited", "terminated", "time limit", "not started"]
"""Why a task ended: by itself, upon :meth:`Engine.terminate`, out of time, or it never came up."""


Owner = Literal["job", "node"]
"""Whose a task is: a job's run or a node's set-up."""


class EngineError(Exception):
    """The engine cannot do what it was asked; the message says what is in the way."""


class MountError(EngineError):
    """A volume cannot be mounted; the message says which and what to do."""


class NotYetError(Exception):
    """The engine has asked a node and not been answered; ``notify`` is called when it has been."""


@frozen
class Mount:
    """A folder that shall appear under a mount root.

    Args:
        relative_path: Where, relative to the mount root; POSIX, no ``..``.
        source: The folder that holds the volume.
        read_only: Whether nothing may be written into it there.
    """

    relative_path: str
    source: Path
    read_only: bool = False


@frozen
class Machine:
    """What a node is made on, where the engine chooses among machines.

    Args:
        cluster_uid: The cluster that the node is in, whose nodes are kept apart or together.
        cores: How many processors its VM size has.
        memory_gib: How much memory, in GiB; 0 where that is not known.
    """

    cluster_uid: str = ""
    cores: int = 1
    memory_gib: float = 0.0


@frozen
class Node:
    """What a job needs to know of a node.

    Args:
        address: How other nodes reach it.
        mount_root: The folder of the cluster's volumes, as processes on the node see it.
        gpu_count: How many GPUs its processes may use.
        environment: The variables that every process on it starts with; they hold no secret.
        interface: The network interface over which other nodes reach it; empty where whoever
            listens may choose.
    """

    address: str
    mount_root: str
    gpu_count: int
    environment: Mapping[str, str]
    interface: str = ""


@frozen
class JobFolders:
    """Where a job's own folders are, as its processes see them.

    Args:
        root: The folder that all the others are in.
        mount_root: The folder of the job's own volumes.
        shared_temp: A temporary folder that all nodes of the job see.
        temp: The temporary folder on each node, by node id.
        mpi_host_file: Open MPI's list of the job's nodes.
    """

    root: str
    mount_root: str
    shared_temp: str
    temp: Mapping[str, str]
    mpi_host_file: str


@frozen
class TaskKey:
    """Names a task.

    Args:
        owner: Whether a job's run or a node's set-up owns it.
        owner_id: The uid of the job or the id of the node.
        name: Its name within its owner, fit for a file name.
    """

    owner: Owner
    owner_id: str
    name: str


@frozen
class Container:
    """What a task wants to run in, where the engine runs containers.

    Args:
        image: The image.
        command_line: What a shell in it runs, in the place of the task's own.
        environment: All variables in it beside the image's; may hold secrets.
        registry: The address of the registry that has the image; empty where none was named.
        username: Who may get the image there; empty for anybody.
        password: Whereby.
        shm_size: The size of its shared memory, as the runtimes write it; empty for their own.
        gpus: The GPUs that it sees, by index or UUID.
        keeps_changes: Whether the job's later tasks on its node start from what it changed there.
    """

    image: str
    command_line: str
    environment: Mapping[str, str] = field(repr=False)
    registry: str = ""
    username: str = ""
    password: str = field(default="", repr=False)
    shm_size: str = ""
    gpus: tuple[str, ...] = ()
    keeps_changes: bool = False


@frozen
class Task:
    """One command line on one node.

    Args:
        key: Its name. A key runs at most once until its owner is released.
        node_id: The node.
        label: What it is, for its log.
        command_line: What the node's shell runs.
        environment: Variables beside (or instead of) those of the node; may hold secrets.
        working_directory: Where it starts.
        directories: Folders to make before it starts.
        stdout: The file that its standard output is added to.
        stderr: The file that its standard error is added to.
        log: The file that gets a line when it starts and when it ends.
        notes: Lines for the log, written before it starts.
        time_limit_seconds: How long it may run; None for ever.
        grace_seconds: How long it has between SIGTERM and SIGKILL when it is terminated.
        is_of_service: Whether it is a program of the service and no command of a user: it may write
            into volumes that are read-only for others.
        container: What it wants to run in, if anything.
    """

    key: TaskKey
    node_id: str
    label: str
    command_line: str
    environment: Mapping[str, str] = field(repr=False)
    working_directory: str
    directories: tuple[str, ...]
    stdout: str
    stderr: str
    log: str
    notes: tuple[str, ...] = ()
    time_limit_seconds: float | None = None
    grace_seconds: float = 5.0
    is_of_service: bool = False
    container: Container | None = None


@frozen
class NotStarted:
    """No process of the task ever ran, so that it may be launched."""


@frozen
class Running:
    """The task has been launched and something of it still runs."""


@frozen
class Ended:
    """Nothing of the task runs any more.

    Args:
        reason: Why it ended.
        exit_code: As a shell reports it: 128 and the signal's number when a signal ended it; None
            when it never came up.
        ended_at: When, aware and in UTC.
        message: What was in the way when it never came up, or what is known of its failure beyond
            the exit code; else empty.
    """

    reason: EndReason
    exit_code: int | None
    ended_at: datetime
    message: str = ""


@frozen
class Lost:
    """The task ran, nothing of it does any more, and nobody saw how it ended."""


TaskStatus = NotStarted | Running | Ended | Lost


class Notify(Protocol):
    """Told, from any thread, that a task may have changed its status."""

    def __call__(self, owner: Owner | None = None, owner_id: str = "", /) -> None:
        """Say whose task it is.

        Args:
            owner: What owns it; None when that is not known, which makes the scheduler look at
                every owner that has something running.
            owner_id: The uid of the job or the id of the node.
        """
        ...


class Engine(Protocol):
    """A place where processes run."""

    def start(self, notify: Notify) -> None:
        """Begin to watch.

        Args:
            notify: Called, from any thread, whenever a task may have changed its status. Naming the
                owner keeps the cost of that independent of how many tasks run.
        """
        ...

    def stop(self) -> None:
        """Stop watching; what runs goes on running."""
        ...

    def prepare_node(
        self,
        node_id: str,
        mounts: tuple[Mount, ...],
        gpu_count: int = 0,
        machine: Machine | None = None,
    ) -> bool:
        """Make a node with its volumes mounted.

        Args:
            node_id: The node.
            mounts: Its volumes.
            gpu_count: How many GPUs its VM size has. It gets as many of its own as there are left;
                :meth:`node` tells how many, and the log of its jobs what it lacks.
            machine: What it asks of the machine that it is made on.

        Returns:
            Whether it is there. If not, it is being made, and ``notify`` is called with the node
            when this is to be called again.

        Raises:
            MountError: A volume cannot be mounted.
            EngineError: The node cannot be made.
        """
        ...

    def node(self, node_id: str) -> Node:
        """Describe a prepared node."""
        ...

    def lost(self, node_id: str) -> str:
        """Say why a prepared node is no more, as when its machine failed; empty while it is.

        What ran on it is lost, and nothing that it may still say counts. ``notify`` is called with
        the node when that happens.
        """
        ...

    def release_node(self, node_id: str) -> None:
        """Unmount a node's volumes and remove the node; nothing runs on it any more.

        Raises:
            EngineError: The node cannot be removed.
        """
        ...

    def prepare_job(
        self, job_uid: str, node_ids: tuple[str, ...], mounts: tuple[Mount, ...]
    ) -> None:
        """Make a job's folders with its own volumes mounted.

        Raises:
            MountError: A volume cannot be mounted.
            EngineError: The folders cannot be made.
        """
        ...

    def job(self, job_uid: str, node_ids: tuple[str, ...]) -> JobFolders:
        """Say where a job's folders are (or will be, before :meth:`prepare_job`)."""
        ...

    def ports(self, job_uid: str, node_id: str, count: int) -> tuple[int, ...]:
        """Choose ports of a node at which a job's processes can meet.

        Args:
            job_uid: The job, which keeps them until its release.
            node_id: The node.
            count: How many; the same number whenever this is asked.

        Returns:
            The ports; the same ones whenever this is asked. They are not bound: a process has to
            find them free.

        Raises:
            EngineError: There are not enough.
            NotYetError: They are being chosen; ``notify`` is called with the job when this is to be
                called again.
        """
        ...

    def jobs(self) -> Iterable[str]:
        """Return the uids of the jobs that have folders."""
        ...

    def release_job(self, job_uid: str) -> None:
        """Unmount a job's volumes and remove its folders; nothing of it runs any more.

        Raises:
            EngineError: The folders cannot be removed.
        """
        ...

    def launch(self, task: Task) -> None:
        """Start a task, unless it has been started before.

        Raises:
            EngineError: It cannot be started. An engine that has to ask the node does not wait for
                its answer: the task counts as launched. When it is refused, that is undone,
                ``notify`` is called with its owner, and the next call raises this.
        """
        ...

    def tasks(self, owner: Owner, owner_id: str) -> Mapping[str, TaskStatus]:
        """Return the status of every task of an owner that was ever launched, by name."""
        ...

    def terminate(self, key: TaskKey) -> None:
        """Ask a task to end: SIGTERM, then SIGKILL when its grace is over. Does not wait."""
        ...

    def end_of_file(self, node_id: str, path: str, most_bytes: int) -> FileEnd:
        """Read the end of a file where a task that ran on a node has written it.

        Args:
            node_id: The node.
            path: The file, as the node's processes see it.
            most_bytes: How much of it.

        Returns:
            Its end; nothing where there is no file, or no node any more.

        Raises:
            NotYetError: It is being read; ``notify`` is called with the node when this is to be
                called again.
        """
        ...

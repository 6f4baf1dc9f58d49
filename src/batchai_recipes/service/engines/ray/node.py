"""A node: the actor in its bundle, which runs tasks as the local engine does on one machine."""

import fcntl
import logging
import os
import socket
import struct
import threading
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from attrs import evolve

from batchai_recipes.service.engines.engine import (
    EngineError,
    Mount,
    MountError,
    Owner,
    Running,
    Task,
    TaskKey,
    TaskStatus,
)
from batchai_recipes.service.engines.local import LocalEngine
from batchai_recipes.service.engines.ray.messages import (
    Changes,
    Home,
    Launch,
    NodeFacts,
    Prepared,
    Refusal,
)
from batchai_recipes.service.file_lock import FileLock
from batchai_recipes.service.state_directory import StateDirectory

_LONGEST_WAIT_SECONDS: Final = 20.0
_END_PATIENCE_SECONDS: Final = 10.0
_SIOCGIFADDR: Final = 0x8915  # of <linux/sockios.h>

_logger = logging.getLogger(__name__)


class RayNode:
    """Runs the tasks of one node.

    All nodes of a service on one machine share a folder there. Its methods are called by the driver
    through Ray, each in a thread of its own; what they raise as :class:`EngineError` they return as
    :class:`~batchai_recipes.service.engines.ray.messages.Refusal`.

    Args:
        node_id: The node.
        home: What every node of the service is told.
        group: The name of its placement group.
        address: How other nodes reach this one.
        machine_id: Ray's id of this machine.
    """

    def __init__(self, node_id: str, home: Home, group: str, address: str, machine_id: str) -> None:
        self._node_id = node_id
        self._home = home
        self._state = StateDirectory(Path(home.folder))
        self._state.create()
        self._lock = FileLock(self._state.nodes / f"{node_id}.lock")
        self._lock.exclusive()  # tells others on this machine that the node's folder is in use
        self._facts = NodeFacts(
            address, interface_of(address), machine_id, group, self._sees_state()
        )
        self._engine = LocalEngine(
            self._state,
            containers=home.containers,
            memory_limit_bytes=home.memory_limit_bytes,
            outlived=False,
        )
        self._news = threading.Condition()
        self._changed: set[tuple[Owner, str]] = set()
        self._follower = 0
        self._engine.start(self._notice)
        self._remove_left_over()

    def facts(self) -> NodeFacts:
        """Say what the service needs to know."""
        return self._facts

    def prepare(self, mounts: tuple[Mount, ...], gpu_count: int) -> Prepared | Refusal:
        """Mount the node's volumes.

        Args:
            mounts: The volumes; their sources are folders of the service's machine.
            gpu_count: How many GPUs its VM size has.
        """
        try:
            self._check_visible(mounts)
            self._engine.prepare_node(self._node_id, mounts, gpu_count)
        except EngineError as error:
            return _refusal(error)
        node = self._engine.node(self._node_id)
        return Prepared(node.mount_root, node.gpu_count, node.environment)

    def launch(self, launch: Launch) -> Refusal | None:
        """Start a task, unless it has been started before.

        Args:
            launch: The task.
        """
        task = launch.task
        try:
            if task.key.owner == "job":
                self._check_visible(launch.mounts)
                self._prepare_run(launch)
            self._engine.launch(_of_run(task, launch.run))
        except EngineError as error:
            return _refusal(error)
        return None

    def terminate(self, owner: Owner, run: str, name: str) -> None:
        """Ask a task to end.

        Args:
            owner: Whether a job's run or the node owns it.
            run: The run of the job, or the node's id.
            name: The task.
        """
        self._engine.terminate(TaskKey(owner, run, name))

    def ports(self, run: str, count: int) -> tuple[int, ...] | Refusal:
        """Choose ports for a run of a job.

        Args:
            run: The run.
            count: How many.
        """
        try:
            return self._engine.ports(run, self._node_id, count)
        except EngineError as error:
            return _refusal(error)

    def release_run(self, run: str) -> None:
        """Remove the folders of a run of a job.

        Args:
            run: The run; what is left of it is ended first.
        """
        self._end_all("job", [run])
        try:
            self._engine.release_job(run)
        except EngineError as error:
            _logger.warning("%s", error)

    def changes(self, follower: int) -> Changes:
        """Wait until something changes, at most for some seconds, and say what.

        Args:
            follower: Who asks. One that asks for the first time is told everything.
        """
        with self._news:
            whole = follower != self._follower
            if whole:
                self._follower = follower
                self._changed = {("node", self._node_id)}
                self._changed |= {("job", run) for run in self._engine.jobs()}
                self._news.notify_all()
            self._news.wait_for(
                lambda: self._changed or self._follower != follower, _LONGEST_WAIT_SECONDS
            )
            if self._follower != follower:
                return Changes(superseded=True)
            changed, self._changed = self._changed, set()
        return Changes({owner: dict(self._engine.tasks(*owner)) for owner in changed}, whole)

    def end(self) -> None:
        """End all tasks and remove the node's folder."""
        self._end_all("node", [self._node_id])
        self._engine.stop()
        self._engine.release_node(self._node_id)
        Path(self._state.nodes / f"{self._node_id}.lock").unlink(missing_ok=True)

    def _prepare_run(self, launch: Launch) -> None:
        # Several nodes may be on this machine, and share the folders of the run.
        lock = FileLock(self._state.root / "preparing.lock")
        lock.exclusive()
        try:
            self._engine.prepare_job(launch.run, (self._node_id,), launch.mounts)
            folders = self._engine.job(launch.run, (self._node_id,))
            Path(folders.mpi_host_file).write_text(launch.host_file, encoding="utf-8")
        except OSError as error:
            raise EngineError(f"The MPI host file cannot be written: {error}") from error
        finally:
            lock.release()

    def _check_visible(self, mounts: tuple[Mount, ...]) -> None:
        for mount in mounts:
            of_service = mount.source.is_relative_to(self._home.state)
            if (of_service and not self._sees_state()) or not mount.source.is_dir():
                raise MountError(
                    f"The volume for {mount.relative_path!r} cannot be mounted: "
                    f"{self._facts.address} has no {mount.source}"
                )

    def _sees_state(self) -> bool:
        try:
            return self._home.service_id in Path(self._home.probe).read_text(encoding="utf-8")
        except OSError:
            return False

    def _notice(self, owner: Owner | None = None, owner_id: str = "", /) -> None:
        if owner is None or (owner == "node" and owner_id != self._node_id):
            return
        with self._news:
            self._changed.add((owner, owner_id))
            self._news.notify_all()

    def _end_all(self, owner: Owner, runs: Iterable[str]) -> None:
        deadline = time.monotonic() + _END_PATIENCE_SECONDS
        for run in runs:
            while running := _running(self._engine.tasks(owner, run)):
                for name in running:
                    self._engine.terminate(TaskKey(owner, run, name))
                if time.monotonic() > deadline:
                    return
                time.sleep(0.05)

    def _remove_left_over(self) -> None:
        """Remove the folders of nodes of this machine whose actors were killed."""
        for place in self._state.nodes.glob("*.lock"):
            lock = FileLock(place)
            if place.stem != self._node_id and lock.try_exclusive():
                self._engine.release_node(place.stem)
                place.unlink(missing_ok=True)
            lock.release()


def _running(tasks: Mapping[str, TaskStatus]) -> list[str]:
    return [name for name, status in tasks.items() if isinstance(status, Running)]


def _of_run(task: Task, run: str) -> Task:
    return evolve(task, key=evolve(task.key, owner_id=run))


def _refusal(error: EngineError) -> Refusal:
    return Refusal(type(error).__name__, str(error))


def interface_of(address: str) -> str:
    """Find the network interface that has an address.

    Args:
        address: The address, IPv4.

    Returns:
        Its name, or nothing where there is none.

    Example:
        >>> interface_of("127.0.0.1"), interface_of("192.0.2.1")
        ('lo', '')
    """
    if address.startswith("127."):
        return "lo"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for _, name in socket.if_nameindex():
            request = struct.pack("256s", os.fsencode(name)[:15])
            try:
                answer = fcntl.ioctl(probe.fileno(), _SIOCGIFADDR, request)
            except OSError:
                continue  # it has none
            if socket.inet_ntoa(answer[20:24]) == address:
                return name
    return ""

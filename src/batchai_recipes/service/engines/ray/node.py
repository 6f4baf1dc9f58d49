"""A node: the actor in its bundle, which runs tasks as the local engine does on one machine."""

import fcntl
import logging
import os
import socket
import struct
import threading
import time
from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Final

from attrs import evolve

from batchai_recipes.service.engines.engine import (
    Ended,
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
from batchai_recipes.service.engines.ray.content_cache import ContentCache
from batchai_recipes.service.engines.ray.fetching import FetchError
from batchai_recipes.service.engines.ray.messages import (
    Changes,
    Home,
    Launch,
    NodeFacts,
    Prepared,
    Refusal,
)
from batchai_recipes.service.engines.ray.node_shares import NodeShares
from batchai_recipes.service.engines.ray.share_copies import Change, ShareSource, ShareState
from batchai_recipes.service.file_lock import FileLock
from batchai_recipes.service.state_directory import StateDirectory

_LONGEST_WAIT_SECONDS: Final = 20.0
_END_PATIENCE_SECONDS: Final = 10.0
_SCAN_SECONDS: Final = 0.5
_TERMINATED_CODE: Final = 143
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
        self._news = threading.Condition(threading.RLock())
        self._changed: set[tuple[Owner, str]] = set()
        self._follower = 0
        self._number = 0
        self._in_flight: Changes | None = None
        self._wants = False
        self._runs: set[tuple[Owner, str]] = set()
        self._pending: dict[tuple[Owner, str], dict[str, Launch]] = {}
        self._unstarted: dict[tuple[Owner, str], dict[str, Ended]] = {}
        cache = ContentCache(self._state.root / "contents", home.cache_bytes)
        self._shares = NodeShares(self._state.nodes / node_id / "volumes", cache)
        self._engine.start(self._notice)
        self._remove_left_over()

    def facts(self) -> NodeFacts:
        """Say what the service needs to know."""
        return self._facts

    def prepare(
        self, mounts: tuple[Mount, ...], gpu_count: int, sources: tuple[ShareSource, ...] = ()
    ) -> Prepared | Refusal:
        """Mount the node's volumes.

        Args:
            mounts: The volumes; their sources are folders of the service's machine.
            gpu_count: How many GPUs its VM size has.
            sources: Where to get those that are shares.
        """
        try:
            mounted = self._mounted(mounts, sources)
            self._engine.prepare_node(self._node_id, mounted, gpu_count)
        except EngineError as error:
            return _refusal(error)
        node = self._engine.node(self._node_id)
        return Prepared(node.mount_root, node.gpu_count, node.environment)

    def launch(self, launch: Launch) -> Refusal | None:
        """Start a task, unless it has been started before.

        Where the node has copies of shares, these are brought up to date first: then the answer
        says no more than that it will be started, and its status tells of what prevents that.

        Args:
            launch: The task.
        """
        try:
            mounted = self._mounted(launch.mounts, launch.sources)
            ready = evolve(launch, mounts=mounted)
            if not self._shares:
                self._start(ready)
                return None
        except EngineError as error:
            return _refusal(error)
        with self._news:
            self._pending.setdefault(_owner_of(launch), {})[launch.task.key.name] = ready
            self._wants = True
            self._news.notify_all()
        return None

    def supply(self, states: Mapping[str, ShareState]) -> None:
        """Bring the copies of shares up to date, and start what waits for that.

        Args:
            states: What is in each share.
        """
        with self._news:
            due = [launch for each in self._pending.values() for launch in each.values()]
        try:
            self._shares.bring_up_to_date(states)
            problem = ""
        except (FetchError, OSError) as error:
            problem = f"The volumes cannot be copied: {error}"
        for launch in due:
            self._start_pending(launch, problem)

    def terminate(self, owner: Owner, run: str, name: str) -> None:
        """Ask a task to end.

        Args:
            owner: Whether a job's run or the node owns it.
            run: The run of the job, or the node's id.
            name: The task.
        """
        with self._news:
            if self._pending.get((owner, run), {}).pop(name, None) is not None:
                ended = Ended("terminated", _TERMINATED_CODE, datetime.now(timezone.utc))
                self._end_unstarted((owner, run), name, ended)
                return
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
        with self._news:
            for known in (self._pending, self._unstarted):
                known.pop(("job", run), None)
            self._runs.discard(("job", run))
        try:
            self._engine.release_job(run)
        except EngineError as error:
            _logger.warning("%s", error)

    def changes(self, follower: int, received: int = 0) -> Changes:
        """Wait until something changes, at most for some seconds, and say what.

        Args:
            follower: Who asks. One that asks for the first time is told everything.
            received: The number of the last changes that have arrived.
        """
        with self._news:
            whole = follower != self._follower
            if whole:
                self._follower = follower
                self._changed = {("node", self._node_id), *self._unstarted}
                self._changed |= {("job", run) for run in self._engine.jobs()}
                self._wants = bool(self._pending)
                self._in_flight = None
                self._shares.begin_anew()
                self._news.notify_all()
            if self._in_flight is not None and self._in_flight.number != received:
                return self._in_flight  # what was told before did not arrive
        deadline = time.monotonic() + _LONGEST_WAIT_SECONDS
        while True:
            with self._news:
                pause = _SCAN_SECONDS if self._is_copying() else _LONGEST_WAIT_SECONDS
                self._news.wait_for(
                    lambda: self._changed or self._wants or self._follower != follower, pause
                )
                if self._follower != follower:
                    return Changes(superseded=True)  # another driver follows by now
            found = self._collect(whole=whole)
            if found is not None or time.monotonic() > deadline:
                return found or Changes(number=received)

    def _collect(self, *, whole: bool) -> Changes | None:
        with self._news:
            changed, self._changed = self._changed, set()
            wanted, self._wants = self._wants, False
        tasks = {owner: self._tasks(owner) for owner in changed}
        copying = self._is_copying()
        shares: tuple[Change, ...] = ()
        if copying:
            final = any(isinstance(s, Ended) for each in tasks.values() for s in each.values())
            shares, is_all = self._shares.changes(final=final)
            if not is_all:  # a task has not ended before what it wrote is there
                tasks = {}
                with self._news:
                    self._changed |= changed
        if not (tasks or shares or wanted or whole):
            return None
        with self._news:
            self._number += 1
            self._in_flight = Changes(
                tasks,
                self._number,
                shares,
                self._shares.names if wanted else (),
                whole=whole and not shares,
            )
            return self._in_flight

    def _is_copying(self) -> bool:
        return bool(self._shares) and bool(self._runs)

    def _tasks(self, owner: tuple[Owner, str]) -> dict[str, TaskStatus]:
        with self._news:
            waiting = dict.fromkeys(self._pending.get(owner, {}), Running())
            unstarted = dict(self._unstarted.get(owner, {}))
        return {**waiting, **self._engine.tasks(*owner), **unstarted}

    def end(self) -> None:
        """End all tasks and remove the node's folder."""
        self._end_all("node", [self._node_id])
        self._engine.stop()
        self._engine.release_node(self._node_id)
        Path(self._state.nodes / f"{self._node_id}.lock").unlink(missing_ok=True)

    def _start(self, launch: Launch) -> None:
        self._runs.add(_owner_of(launch))
        if launch.task.key.owner == "job":
            self._prepare_run(launch)
        self._engine.launch(_of_run(launch.task, launch.run))

    def _start_pending(self, launch: Launch, problem: str) -> None:
        owner, name = _owner_of(launch), launch.task.key.name
        with self._news:
            if self._pending.get(owner, {}).pop(name, None) is None:
                return  # terminated, or started by another call
        if not problem:
            try:
                self._start(launch)
            except EngineError as error:
                problem = str(error)
        if problem:
            now = datetime.now(timezone.utc)
            with self._news:
                self._end_unstarted(owner, name, Ended("not started", None, now, problem))

    def _end_unstarted(self, owner: tuple[Owner, str], name: str, ended: Ended) -> None:
        self._unstarted.setdefault(owner, {})[name] = ended
        self._changed.add(owner)
        self._news.notify_all()

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

    def _mounted(
        self, mounts: tuple[Mount, ...], sources: tuple[ShareSource, ...]
    ) -> tuple[Mount, ...]:
        """Find volumes on this machine, and have copies of the shares that it does not see."""
        if not self._facts.sees_state:
            try:
                mounts = self._shares.mount(mounts, sources)
            except (FetchError, OSError) as error:
                raise MountError(
                    f"The node {self._node_id} cannot mount a share: {error}"
                ) from error
        for mount in mounts:
            of_service = mount.source.is_relative_to(self._home.state)
            if (of_service and not self._facts.sees_state) or not mount.source.is_dir():
                raise MountError(
                    f"The volume for {mount.relative_path!r} cannot be mounted: the machine "
                    f"{self._facts.address} of Ray has no {mount.source}"
                )
        return mounts

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


def _owner_of(launch: Launch) -> tuple[Owner, str]:
    return launch.task.key.owner, launch.run


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

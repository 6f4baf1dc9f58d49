"""A node: the actor in its bundle, which runs tasks as the local engine does on one machine."""

import logging
import os
from collections.abc import Iterable, Mapping, Sequence
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
from batchai_recipes.service.engines.folders import make_folder
from batchai_recipes.service.engines.gpus import DEVICES
from batchai_recipes.service.engines.local import LocalEngine
from batchai_recipes.service.engines.ray.content_cache import ContentCache
from batchai_recipes.service.engines.ray.fetching import FetchError
from batchai_recipes.service.engines.ray.launches import Launches
from batchai_recipes.service.engines.ray.messages import (
    Changes,
    DaemonEnd,
    Home,
    Launch,
    NodeFacts,
    Prepared,
    Refusal,
)
from batchai_recipes.service.engines.ray.mpi_daemons import MpiDaemons, Reach, end_of, is_daemon
from batchai_recipes.service.engines.ray.network_interface import interface_of, network_of
from batchai_recipes.service.engines.ray.news import News
from batchai_recipes.service.engines.ray.node_shares import NodeShares
from batchai_recipes.service.engines.ray.peers import at, host_file
from batchai_recipes.service.engines.ray.share_copies import Change, ShareSource, ShareState
from batchai_recipes.service.file_lock import FileLock
from batchai_recipes.service.state_directory import StateDirectory

_LONGEST_WAIT_SECONDS: Final = 20.0
_END_PATIENCE_SECONDS: Final = 10.0

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
        reach: Asks other nodes of the service.
        gpus: The GPUs that Ray gave it, as CUDA lists them.
    """

    def __init__(
        self,
        node_id: str,
        home: Home,
        group: str,
        address: str,
        machine_id: str,
        *,
        reach: Reach,
        gpus: Sequence[str] = (),
    ) -> None:
        self._node_id = node_id
        self._home = home
        self._state = StateDirectory(Path(home.folder))
        self._state.create()
        self._lock = FileLock(self._state.nodes / f"{node_id}.lock")
        self._lock.exclusive()  # tells others on this machine that the node's folder is in use
        self._facts = NodeFacts(
            address,
            interface_of(address),
            machine_id,
            group,
            self._sees_state(),
            network_of(address),
        )
        self._engine = LocalEngine(
            self._state,
            # Ray shows a node without GPUs all that its machine has.
            {**os.environ, DEVICES: ",".join(gpus)},
            gpus=gpus,
            containers=home.containers,
            memory_limit_bytes=home.memory_limit_bytes,
            outlived=False,
        )
        self._launches = Launches()
        cache = ContentCache(self._state.root / "contents", home.cache_bytes)
        self._shares = NodeShares(self._state.nodes / node_id / "volumes", cache)
        self._news = News(self)
        self._mpi = MpiDaemons(
            node_id,
            address,
            self._state,
            task_of=self._engine.task_of,
            reach=reach,
            ended=lambda run: self._news.notice(("job", run)),
        )
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
            self._check_mpi(launch)
            mounted = self._mounted(launch.mounts, launch.sources)
            ready = evolve(launch, mounts=mounted, task=self._mpi.prepared(launch))
        except EngineError as error:
            return _refusal(error)
        waits = bool(self._shares)
        if not self._launches.add(ready, waits=waits):
            self._news.notice(launch.owner)  # whoever launches it again has not heard of it
        elif waits:
            self._news.want_shares()
        else:
            try:
                self._start(ready)
            except EngineError as error:
                self._launches.forget(launch.owner, launch.task.key.name)
                return _refusal(error)
        return None

    def supply(self, states: Mapping[str, ShareState]) -> None:
        """Bring the copies of shares up to date, and start what waits for that.

        Args:
            states: What is in each share.
        """
        due = self._launches.waiting()
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
        if self._launches.terminate((owner, run), name):
            self._news.notice((owner, run))
            return
        self._engine.terminate(TaskKey(owner, run, name))

    def daemon_end(self, run: str, name: str, seconds: float) -> DaemonEnd | None:
        """Wait for the end of a daemon of ``mpirun``, and until what it has written is told.

        Args:
            run: The run of its job.
            name: Its task.
            seconds: How long to wait.

        Returns:
            How it ended; None if it has not in time.
        """
        owner: tuple[Owner, str] = ("job", run)
        if not self._news.wait_for(lambda: name not in _running(self._all_tasks(owner)), seconds):
            return None
        if self._shares and not self._news.confirm(owner, seconds):
            return None
        return end_of(self._all_tasks(owner).get(name), self._state.jobs / run, name)

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
        self._end_all("job", run)
        self._launches.forget(("job", run))
        self._mpi.forget(run)
        try:
            self._engine.release_job(run)
        except EngineError as error:
            _logger.warning("%s", error)

    def changes(
        self, follower: int, received: int = 0, seconds: float = _LONGEST_WAIT_SECONDS
    ) -> Changes:
        """Wait until something changes, and say what.

        Args:
            follower: Who asks. One that asks for the first time is told everything.
            received: The number of the last changes that have arrived.
            seconds: How long to wait at most.
        """
        return self._news.tell(follower, received, seconds)

    # What there is to tell of.

    def owners(self) -> Iterable[tuple[Owner, str]]:
        """Return all that have tasks, by kind and its id or run."""
        # Those too that an earlier actor left on this machine, so that they are released.
        runs: set[tuple[Owner, str]] = {("job", run) for run in self._engine.jobs()}
        return {("node", self._node_id), *runs, *self._launches.owners()}

    def tasks(self, owner: tuple[Owner, str]) -> Mapping[str, TaskStatus]:
        """Return the status of all tasks that the service has launched of an owner, by name.

        Args:
            owner: Whose they are.
        """
        # A task has not ended before what it has on other nodes has.
        waits = self._mpi.is_busy(owner[1])
        return {
            name: Running() if waits else status
            for name, status in self._all_tasks(owner).items()
            if not is_daemon(name)
        }

    def _all_tasks(self, owner: tuple[Owner, str]) -> Mapping[str, TaskStatus]:
        names = self._launches.names(owner)
        # After that, lest one that is being started be in neither.
        seen = self._engine.tasks(*owner)
        return {
            name: seen.get(name) or self._launches.status(owner, name, was_started=was_started)
            for name, was_started in names.items()
        }

    def is_copying(self) -> bool:
        """Tell whether something may be written to copies of shares."""
        return bool(self._shares) and self.is_busy()

    def is_busy(self) -> bool:
        """Tell whether a task runs."""
        return any(_running(self._all_tasks(owner)) for owner in self._launches.owners())

    def written(self, *, final: bool) -> tuple[tuple[Change, ...], bool]:
        """Return what was written to copies of shares, and whether that is all.

        Args:
            final: Whether to look again at what was sent while it was written.
        """
        return self._shares.changes(final=final)

    def shares(self) -> tuple[str, ...]:
        """Return the shares of which to know what is in them, where something waits for that."""
        return self._shares.names if self._launches.waiting() else ()

    def begin_anew(self) -> None:
        """Forget what was sent of copies of shares."""
        self._shares.begin_anew()

    def end(self) -> None:
        """End all tasks and remove the node's folder."""
        self._end_all("node", self._node_id)
        self._mpi.close()
        self._engine.stop()
        self._engine.release_node(self._node_id)
        Path(self._state.nodes / f"{self._node_id}.lock").unlink(missing_ok=True)

    def _start(self, launch: Launch) -> None:
        if launch.task.key.owner == "job":
            self._prepare_run(launch)
        self._engine.launch(_of_run(launch.task, launch.run))
        if self._launches.started(launch):
            self._engine.terminate(TaskKey(*launch.owner, launch.task.key.name))

    def _start_pending(self, launch: Launch, problem: str) -> None:
        if not self._launches.take(launch):
            return
        if not problem:
            try:
                self._start(launch)
            except EngineError as error:
                problem = str(error)
        if problem:
            self._launches.fail(launch, problem)
            self._news.notice(launch.owner)

    def _prepare_run(self, launch: Launch) -> None:
        # Several nodes may be on this machine, and share the folders of the run.
        lock = FileLock(self._state.root / "preparing.lock")
        lock.exclusive()
        try:
            self._engine.prepare_job(launch.run, (self._node_id,), launch.mounts)
            # Ranks of all the job's nodes of this machine may run under this one.
            here = tuple(peer.node_id for peer in at(self._facts.address, launch.peers))
            folders = self._engine.job(launch.run, here)
            for folder in folders.temp.values():
                make_folder(Path(folder))
            Path(folders.mpi_host_file).write_text(host_file(launch.peers), encoding="utf-8")
        except OSError as error:
            raise EngineError(f"The MPI host file cannot be written: {error}") from error
        finally:
            lock.release()

    def _check_mpi(self, launch: Launch) -> None:
        """Refuse what would fail, or lose what it writes, without anybody being told."""
        if "mpirun" not in launch.task.command_line:
            return
        neighbours = len(at(self._facts.address, launch.peers))
        if (
            launch.task.container
            and neighbours < len(launch.peers)
            and self._engine.runs_containers
        ):
            raise EngineError(
                "mpirun in a container reaches no other machine: start the service with "
                "--containers never, or with --ray-strategy PACK"
            )
        if self._shares and neighbours > 1:
            raise EngineError(
                "mpirun on several nodes of one machine needs to see the service's state "
                f"directory there: mount {self._home.state} on {self._facts.address}, or start the "
                "service with --ray-strategy STRICT_SPREAD"
            )

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
        self._news.notice((owner, owner_id))

    def _end_all(self, owner: Owner, run: str) -> None:
        for name in _running(self._engine.tasks(owner, run)):
            self._engine.terminate(TaskKey(owner, run, name))
        self._news.wait_for(
            lambda: not _running(self._engine.tasks(owner, run)), _END_PATIENCE_SECONDS
        )

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

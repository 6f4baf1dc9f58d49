"""A node: the actor in its bundle, which runs tasks as the local engine does on one machine."""

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, TypeVar

from attrs import evolve

from batchai_recipes.service.engines.engine import (
    EngineError,
    Mount,
    Owner,
    Running,
    TaskKey,
)
from batchai_recipes.service.engines.file_end import FileEnd
from batchai_recipes.service.engines.gpus import DEVICES
from batchai_recipes.service.engines.local import LocalEngine
from batchai_recipes.service.engines.ray.content_cache import ContentCache
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
from batchai_recipes.service.engines.ray.mpi_daemons import MpiDaemons, Reach, end_of
from batchai_recipes.service.engines.ray.mpi_limits import check_mpi
from batchai_recipes.service.engines.ray.network_interface import interface_of, network_of
from batchai_recipes.service.engines.ray.news import News
from batchai_recipes.service.engines.ray.node_folder import NodeFolder
from batchai_recipes.service.engines.ray.node_report import NodeReport
from batchai_recipes.service.engines.ray.node_shares import NodeShares
from batchai_recipes.service.engines.ray.node_volumes import NodeVolumes
from batchai_recipes.service.engines.ray.share_copies import ShareSource, ShareState
from batchai_recipes.service.engines.ray.task_starter import TaskStarter
from batchai_recipes.service.file_lock import FileLock
from batchai_recipes.service.state_directory import StateDirectory

_LONGEST_WAIT_SECONDS: Final = 20.0
_END_PATIENCE_SECONDS: Final = 10.0

_Result = TypeVar("_Result")

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
        bundle: The number of its bundle in the group.
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
        bundle: int = 0,
    ) -> None:
        self._node_id = node_id
        self._home = home
        self._state = StateDirectory(Path(home.folder))
        self._state.create()
        self._folder = NodeFolder(self._state, node_id)
        self._engine = LocalEngine(
            self._state,
            # Ray shows a node without GPUs all that its machine has.
            {**os.environ, DEVICES: ",".join(gpus)},
            own_gpus=True,
            containers=home.containers,
            memory_limit_bytes=home.memory_limit_bytes,
            outlived=False,
        )
        cache = ContentCache(self._state.root / "contents", home.cache_bytes)
        self._shares = NodeShares(self._state.nodes / node_id / "volumes", cache)
        self._volumes = NodeVolumes(node_id, address, home, self._shares)
        self._facts = NodeFacts(
            address,
            interface_of(address),
            machine_id,
            group,
            self._volumes.sees_state,
            network_of(address),
            bundle,
        )
        self._launches = Launches()
        self._mpi = MpiDaemons(
            node_id,
            address,
            self._state,
            task_of=self._engine.task_of,
            reach=reach,
            ended=lambda run: self._news.notice(("job", run)),
        )
        self._report = NodeReport(
            node_id,
            engine=self._engine,
            launches=self._launches,
            shares=self._shares,
            mpi=self._mpi,
        )
        self._news = News(self._report)
        self._starter = TaskStarter(
            node_id,
            address,
            self._state,
            engine=self._engine,
            launches=self._launches,
            shares=self._shares,
            news=self._news,
        )
        self._engine.start(self._notice)
        for other_id in self._folder.left_over():
            self._engine.release_node(other_id)

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

        def prepared() -> Prepared:
            here = self._volumes.here(mounts, sources)
            self._engine.prepare_node(self._node_id, here, gpu_count)
            node = self._engine.node(self._node_id)
            return Prepared(node.mount_root, node.gpu_count, node.environment)

        return _or_refusal(prepared)

    def launch(self, launch: Launch) -> Refusal | None:
        """Start a task, unless it has been started before.

        Where the node has copies of shares, these are brought up to date first: then the answer
        says no more than that it will be started, and its status tells of what prevents that.

        Args:
            launch: The task.
        """

        def launched() -> None:
            check_mpi(
                launch,
                self._facts.address,
                in_container=bool(launch.task.container) and self._engine.runs_containers,
                has_copies=bool(self._shares),
                state=self._home.state,
            )
            here = self._volumes.here(launch.mounts, launch.sources)
            self._starter.add(evolve(launch, mounts=here, task=self._mpi.prepared(launch)))

        return _or_refusal(launched)

    def supply(self, states: Mapping[str, ShareState]) -> None:
        """Bring the copies of shares up to date, and start what waits for that.

        Args:
            states: What is in each share.
        """
        self._starter.supply(states)

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
        if not self._news.wait_for(lambda: not self._report.is_running(owner, name), seconds):
            return None
        if self._shares and not self._news.confirm(owner, seconds):
            return None
        return end_of(self._report.all_tasks(owner).get(name), self._state.jobs / run, name)

    def ports(self, run: str, count: int) -> tuple[int, ...] | Refusal:
        """Choose ports for a run of a job.

        Args:
            run: The run.
            count: How many.
        """

        def chosen() -> tuple[int, ...]:
            # The nodes on this machine are asked at the same time, and keep apart by their files.
            lock = FileLock(self._state.root / "ports.lock")
            lock.exclusive()
            try:
                return self._engine.ports(run, self._node_id, count)
            finally:
                lock.release()

        return _or_refusal(chosen)

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

    def end_of_file(self, path: str, most_bytes: int) -> FileEnd:
        """Read the end of a file on this machine.

        Args:
            path: The file.
            most_bytes: How much of it.
        """
        return self._engine.end_of_file(self._node_id, path, most_bytes)

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

    def is_busy(self) -> bool:
        """Tell whether a task runs."""
        return self._report.is_busy()

    def end(self) -> None:
        """End all tasks and remove the node's folder."""
        self._end_all("node", self._node_id)
        self._mpi.close()
        self._engine.stop()
        self._engine.release_node(self._node_id)
        self._folder.leave()

    def _notice(self, owner: Owner | None = None, owner_id: str = "", /) -> None:
        if owner is None or (owner == "node" and owner_id != self._node_id):
            return
        self._news.notice((owner, owner_id))

    def _end_all(self, owner: Owner, run: str) -> None:
        def running() -> list[str]:
            found = self._engine.tasks(owner, run)
            return [name for name, status in found.items() if isinstance(status, Running)]

        for name in running():
            self._engine.terminate(TaskKey(owner, run, name))
        self._news.wait_for(lambda: not running(), _END_PATIENCE_SECONDS)


def _or_refusal(act: Callable[[], _Result]) -> _Result | Refusal:
    """Do something; what is in the way is an answer, as Ray would wrap an exception in its own."""
    try:
        return act()
    except EngineError as error:
        return Refusal(type(error).__name__, str(error))

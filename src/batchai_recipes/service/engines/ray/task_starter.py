"""Starting the tasks of a node: at once, or once its copies of shares are up to date."""

from collections.abc import Mapping
from pathlib import Path

from attrs import evolve

from batchai_recipes.service.engines.engine import EngineError, TaskKey
from batchai_recipes.service.engines.folders import make_folder
from batchai_recipes.service.engines.local import LocalEngine
from batchai_recipes.service.engines.ray.fetching import FetchError
from batchai_recipes.service.engines.ray.launches import Launches
from batchai_recipes.service.engines.ray.messages import Launch
from batchai_recipes.service.engines.ray.news import News
from batchai_recipes.service.engines.ray.node_shares import NodeShares
from batchai_recipes.service.engines.ray.peers import at, host_file
from batchai_recipes.service.engines.ray.share_copies import ShareState
from batchai_recipes.service.file_lock import FileLock
from batchai_recipes.service.state_directory import StateDirectory


class TaskStarter:
    """Starts tasks, each once.

    Args:
        node_id: The node.
        address: Its address.
        state: What the service's nodes share on this machine.
        engine: Runs the tasks.
        launches: Knows them.
        shares: The node's copies of shares.
        news: Told of those that could not be started.
    """

    def __init__(
        self,
        node_id: str,
        address: str,
        state: StateDirectory,
        *,
        engine: LocalEngine,
        launches: Launches,
        shares: NodeShares,
        news: News,
    ) -> None:
        self._node_id = node_id
        self._address = address
        self._state = state
        self._engine = engine
        self._launches = launches
        self._shares = shares
        self._news = news

    def add(self, launch: Launch) -> None:
        """Start a task, unless it has been started before.

        Where the node has copies of shares, it will be when these are up to date.

        Args:
            launch: The task.

        Raises:
            EngineError: It cannot be started.
        """
        waits = bool(self._shares)
        if not self._launches.add(launch, waits=waits):
            self._news.notice(launch.owner)  # whoever launches it again has not heard of it
        elif waits:
            self._news.want_shares()
        else:
            try:
                self._start(launch)
            except EngineError:
                self._launches.forget(launch.owner, launch.task.key.name)
                raise

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
            if self._launches.take(launch):
                self._start_or_fail(launch, problem)

    def _start_or_fail(self, launch: Launch, problem: str) -> None:
        if not problem:
            try:
                self._start(launch)
            except EngineError as error:
                problem = str(error)
        if problem:
            self._launches.fail(launch, problem)
            self._news.notice(launch.owner)

    def _start(self, launch: Launch) -> None:
        if launch.task.key.owner == "job":
            self._prepare_run(launch)
        key = TaskKey(*launch.owner, launch.task.key.name)
        self._engine.launch(evolve(launch.task, key=key))
        if self._launches.started(launch):
            self._engine.terminate(key)

    def _prepare_run(self, launch: Launch) -> None:
        """Make the folders of a run of a job, and the file with its hosts."""
        # Several nodes may be on this machine, and share the folders of the run.
        lock = FileLock(self._state.root / "preparing.lock")
        lock.exclusive()
        try:
            self._engine.prepare_job(launch.run, (self._node_id,), launch.mounts)
            # Ranks of all the job's nodes of this machine may run under this one.
            here = tuple(peer.node_id for peer in at(self._address, launch.peers))
            folders = self._engine.job(launch.run, here)
            for folder in folders.temp.values():
                make_folder(Path(folder))
            Path(folders.mpi_host_file).write_text(host_file(launch.peers), encoding="utf-8")
        except OSError as error:
            raise EngineError(f"The MPI host file cannot be written: {error}") from error
        finally:
            lock.release()

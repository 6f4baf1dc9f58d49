"""The engine over a Ray cluster, as the scheduler sees it."""

import json
import os
import secrets
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from batchai_recipes.service.engines.containers import ContainerPolicy
from batchai_recipes.service.engines.engine import (
    Ended,
    EngineError,
    JobFolders,
    Lost,
    Machine,
    Mount,
    Node,
    Notify,
    NotYetError,
    Owner,
    Task,
    TaskKey,
    TaskStatus,
)
from batchai_recipes.service.engines.file_end import FileEnd
from batchai_recipes.service.engines.folders import check_source, job_folders
from batchai_recipes.service.engines.ray.driver_link import DriverLink
from batchai_recipes.service.engines.ray.hearing import Hearing
from batchai_recipes.service.engines.ray.messages import Home, Launch, Leave, Prepared, WantedNode
from batchai_recipes.service.engines.ray.nodes import KnownNodes
from batchai_recipes.service.engines.ray.options import RayOptions
from batchai_recipes.service.engines.ray.outage import Outage
from batchai_recipes.service.engines.ray.questions import Question, Questions
from batchai_recipes.service.engines.ray.roster import Roster
from batchai_recipes.service.engines.ray.runs import Runs
from batchai_recipes.service.engines.ray.share_copies import ShareSource
from batchai_recipes.service.state_directory import StateDirectory, write_private


class RayEngine:
    """Runs tasks on nodes that are actors of a Ray cluster, each in a bundle of its own.

    It waits for no node, so that one that hangs holds up nobody who has to do with others.

    What runs where is in files of the state directory, and what became of it is told by the nodes,
    so that a new engine over the same state directory finds what the old one left.

    Args:
        state: Where is kept what the service knows of nodes and jobs.
        options: How to use Ray.
        containers: When tasks that want a container get it.
        memory_limit_bytes: How much memory a task may have; None for all there is.
        share_url: Says where an account's share can be read, for machines that do not see its
            folder: its URL, and the query that permits it. Without it, they mount no shares.
        monotonic: A clock in seconds, which says how long Ray's head has been away.
    """

    def __init__(
        self,
        state: StateDirectory,
        options: RayOptions | None = None,
        *,
        containers: ContainerPolicy = "auto",
        memory_limit_bytes: int | None = None,
        share_url: Callable[[str, str], tuple[str, str]] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._state = state
        self._options = options or RayOptions()
        probe = state.root / "ray.json"
        service_id = _service_id(probe)
        self._home = Home(
            service_id=service_id,
            folder=f"{self._options.node_folder}/{service_id}",
            probe=str(probe),
            state=str(state.root),
            containers=containers,
            memory_limit_bytes=memory_limit_bytes,
            cache_bytes=self._options.cache_bytes,
        )
        self._share_url = share_url
        self._notify: Notify = lambda *_: None
        self._link = DriverLink(
            self._home, self._options, state.root / "ray-driver.log", self._hear
        )
        self._nodes = KnownNodes(state.nodes)
        self._roster = Roster(self._nodes, self._link)
        self._runs = Runs(state)
        self._questions = Questions(self._link, self._tell)
        self._mounts: dict[str, tuple[Mount, ...]] = {}
        self._hearing = Hearing(
            self._nodes,
            self._runs,
            self._roster,
            self._link,
            outage=Outage(self._options.address, monotonic),
            notify=self._tell,
        )

    def start(self, notify: Notify) -> None:
        """Begin to watch: connect to Ray and find the nodes that are there."""
        self._notify = notify
        self._nodes.load()
        self._link.start()

    def stop(self) -> None:
        """Stop watching; nodes and what runs on them go on, unless the state was deleted."""
        if not Path(self._home.probe).exists():
            self._link.send(Leave())
        self._link.stop()

    # Nodes.

    def prepare_node(
        self,
        node_id: str,
        mounts: tuple[Mount, ...],
        gpu_count: int = 0,
        machine: Machine | None = None,
    ) -> bool:
        """Have Ray make a node, and mount its volumes once it is there."""
        for mount in mounts:
            check_source(mount)
        known = self._roster.want(WantedNode(node_id, machine or Machine(), gpu_count))
        if not known.is_living:
            raise EngineError(known.refused or known.lost)
        if known.facts is None:
            return False
        question = Question(node_id, "prepare", (mounts, gpu_count))
        try:
            prepared = self._questions.answer(
                ("node", node_id), question, sources=self._sources(mounts)
            )
        except NotYetError:
            return False
        if not isinstance(prepared, Prepared):
            return False
        self._nodes.prepared(known, prepared)
        return True

    def node(self, node_id: str) -> Node:
        """Describe a prepared node."""
        known = self._nodes.find(node_id)
        if known is None or known.prepared is None or known.facts is None:
            raise EngineError(f"There is no node {node_id}")
        return Node(
            address=known.facts.address,
            mount_root=known.prepared.mount_root,
            gpu_count=known.prepared.gpu_count,
            environment=known.prepared.environment,
            interface=known.facts.interface,
        )

    def lost(self, node_id: str) -> str:
        """Say why a node is no more, if Ray has lost its actor."""
        known = self._nodes.find(node_id)
        return "" if known is None else known.lost

    def release_node(self, node_id: str) -> None:
        """Remove a node, and its placement group where no other node is in that."""
        self._runs.forget("node", node_id)
        self._questions.forget(("node", node_id))
        self._roster.release(node_id)

    # Jobs.

    def prepare_job(
        self, job_uid: str, node_ids: tuple[str, ...], mounts: tuple[Mount, ...]
    ) -> None:
        """Take note of a job's volumes; its nodes mount them before they start anything of it."""
        del node_ids
        for mount in mounts:
            check_source(mount)
        self._mounts[job_uid] = mounts

    def job(self, job_uid: str, node_ids: tuple[str, ...]) -> JobFolders:
        """Say where a job's folders are on its nodes."""
        run = self._runs.of("job", job_uid, node_ids).run
        return job_folders(Path(self._home.folder) / "jobs" / run, node_ids)

    def ports(self, job_uid: str, node_id: str, count: int) -> tuple[int, ...]:
        """Have a node choose ports that are free on its machine."""
        run = self._runs.of("job", job_uid, (node_id,)).run
        ports = self._questions.answer(("job", job_uid), Question(node_id, "ports", (run, count)))
        return tuple(ports) if isinstance(ports, tuple) else ()

    def jobs(self) -> list[str]:
        """Return the uids of the jobs that have folders."""
        return sorted(entry.name for entry in os.scandir(self._state.jobs) if entry.is_dir())

    def release_job(self, job_uid: str) -> None:
        """Have the nodes of a job remove its folders."""
        launched = self._runs.forget("job", job_uid)
        self._questions.forget(("job", job_uid))
        self._mounts.pop(job_uid, None)
        if launched is not None:
            for node_id in launched.nodes:
                self._link.tell(node_id, "release_run", launched.run)
        shutil.rmtree(self._state.jobs / job_uid, ignore_errors=True)

    # Tasks.

    def launch(self, task: Task) -> None:
        """Start a task, unless it has been started before, or its node is lost."""
        key = task.key
        if key.name in self._runs.tasks(key.owner, key.owner_id) or self.lost(task.node_id):
            return
        self._check_up(task.node_id)
        launched = self._runs.launch(key, task.node_id)
        if launched is None:
            return
        mounts = self._mounts.get(key.owner_id, ())
        message = Launch(
            task,
            launched.run,
            mounts,
            self._nodes.peers(launched.nodes) if key.owner == "job" else (),
            self._sources(mounts),
        )
        self._link.ask(
            task.node_id,
            "launch",
            message,
            answered=lambda answer: self._hearing.launched(task, message.run, answer),
        )

    def tasks(self, owner: Owner, owner_id: str) -> Mapping[str, TaskStatus]:
        """Return the status of every task of an owner that was ever launched, by name.

        What a node has not told yet counts as running, and what it had not told as lost with it.
        """
        tasks = self._runs.tasks(owner, owner_id)
        lost = {node_id for node_id, _ in tasks.values() if self._is_lost(node_id)}
        if lost:  # of what had ended before that, some may have been told since
            tasks = self._runs.tasks(owner, owner_id)
        return {
            name: told if node_id not in lost or isinstance(told, Ended) else Lost()
            for name, (node_id, told) in tasks.items()
        }

    def terminate(self, key: TaskKey) -> None:
        """Ask a task to end, through its node, which is asked again where it may not have heard."""
        found = self._runs.end(key)
        if found is not None:
            node_id, run = found
            self._link.tell(node_id, "terminate", key.owner, run, key.name)

    def end_of_file(self, node_id: str, path: str, most_bytes: int) -> FileEnd:
        """Have a node read the end of a file on its machine."""
        question = Question(node_id, "end_of_file", (path, most_bytes))
        end = self._questions.answer(("node", node_id), question)
        return end if isinstance(end, FileEnd) else FileEnd()

    def _is_lost(self, node_id: str) -> bool:
        known = self._nodes.find(node_id)
        return known is None or bool(known.lost)

    def _check_up(self, node_id: str) -> None:
        known = self._nodes.find(node_id)
        if known is None or not known.is_ready:
            raise EngineError(f"Node {node_id} is not there")

    def _sources(self, mounts: tuple[Mount, ...]) -> tuple[ShareSource, ...]:
        """Say where nodes that do not see this service's shares get them."""
        shares = self._state.shares
        found = []
        for mount in mounts:
            if self._share_url is not None and mount.source.parent.parent == shares:
                url, query = self._share_url(mount.source.parent.name, mount.source.name)
                found.append(ShareSource(str(mount.source), url, query))
        return tuple(found)

    def _hear(self, message: object) -> None:
        self._hearing.hear(message)

    def _tell(self, owner: Owner | None = None, owner_id: str = "", /) -> None:
        self._notify(owner, owner_id)


def _service_id(probe: Path) -> str:
    """Return what tells this service from others; made once for a state directory."""
    try:
        found: str = json.loads(probe.read_text(encoding="utf-8"))["service"]
        return found
    except FileNotFoundError:
        made = secrets.token_hex(8)
        write_private(probe, json.dumps({"service": made}))
        return made

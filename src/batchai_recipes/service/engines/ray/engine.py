"""The engine over a Ray cluster, as the scheduler sees it."""

import json
import logging
import os
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final

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
    Owner,
    Task,
    TaskKey,
    TaskStatus,
)
from batchai_recipes.service.engines.file_end import FileEnd
from batchai_recipes.service.engines.folders import check_source, job_folders
from batchai_recipes.service.engines.gpus import DEVICES
from batchai_recipes.service.engines.ray.driver_link import DriverLink, UnreachableError
from batchai_recipes.service.engines.ray.messages import (
    Adopt,
    Changed,
    Connected,
    Failed,
    Gone,
    Home,
    Launch,
    Leave,
    Make,
    Prepared,
    RayOptions,
    Release,
    Sweep,
    Up,
    Waits,
    WantedNode,
)
from batchai_recipes.service.engines.ray.nodes import KnownNodes
from batchai_recipes.service.engines.ray.outage import Outage
from batchai_recipes.service.engines.ray.peers import Peer
from batchai_recipes.service.engines.ray.runs import Runs
from batchai_recipes.service.engines.ray.share_copies import ShareSource
from batchai_recipes.service.state_directory import StateDirectory, write_private

_ANSWER_SECONDS: Final = 20.0
_ASK_AGAIN_SECONDS: Final = 2.0

_logger = logging.getLogger(__name__)


class RayEngine:
    """Runs tasks on nodes that are actors of a Ray cluster, each in a bundle of its own.

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
        self._outage = Outage(self._options.address, monotonic)
        self._link = DriverLink(
            self._home, self._options, state.root / "ray-driver.log", self._hear
        )
        self._notify: Notify = lambda *_: None
        # What a driver is told of nodes has an order: of one that is released, nothing follows.
        self._telling = threading.Lock()
        self._nodes = KnownNodes(state.nodes)
        self._runs = Runs(state)
        self._mounts: dict[str, tuple[Mount, ...]] = {}

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
        with self._telling:
            known, is_new = self._nodes.want(WantedNode(node_id, machine or Machine(), gpu_count))
            if is_new:
                self._link.send(Make(known.wanted))  # or else once there is a driver
        if not known.is_living:
            raise EngineError(known.refused or known.lost)
        if known.facts is None:
            return False
        try:
            sources = self._sources(mounts)
            prepared = self._call(node_id, "prepare", mounts, gpu_count, sources)
        except UnreachableError as error:
            _logger.warning("%s; it is asked again", error)
            self._notify_later("node", node_id)
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
        with self._telling:
            self._runs.forget("node", node_id)
            self._nodes.forget(node_id)
            self._link.send(Release(node_id))

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
        ports = self._call(node_id, "ports", run, count)
        return tuple(ports) if isinstance(ports, tuple) else ()

    def jobs(self) -> list[str]:
        """Return the uids of the jobs that have folders."""
        return sorted(entry.name for entry in os.scandir(self._state.jobs) if entry.is_dir())

    def release_job(self, job_uid: str) -> None:
        """Have the nodes of a job remove its folders."""
        launched = self._runs.forget("job", job_uid)
        self._mounts.pop(job_uid, None)
        if launched is not None:
            for node_id in launched.nodes:
                self._link.tell(node_id, "release_run", launched.run)
        shutil.rmtree(self._state.jobs / job_uid, ignore_errors=True)

    # Tasks.

    def launch(self, task: Task) -> None:
        """Start a task, unless it has been started before."""
        key = task.key
        if key.name in self._runs.tasks(key.owner, key.owner_id):
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
            self._peers(launched.nodes) if key.owner == "job" else (),
            self._sources(mounts),
        )
        try:
            self._call(task.node_id, "launch", message)
        except UnreachableError as error:
            # It may have been heard. The node tells, or is lost.
            _logger.warning("%s", error)
        except EngineError:
            self._runs.refuse(key)
            raise

    def tasks(self, owner: Owner, owner_id: str) -> Mapping[str, TaskStatus]:
        """Return the status of every task of an owner that was ever launched, by name.

        What a node has not told yet counts as running, and what it had not told as lost with it.
        """
        return {
            name: self._status(told, node_id)
            for name, (node_id, told) in self._runs.tasks(owner, owner_id).items()
        }

    def terminate(self, key: TaskKey) -> None:
        """Ask a task to end, through its node, which is asked again where it may not have heard."""
        found = self._runs.end(key)
        if found is not None:
            node_id, run = found
            self._link.tell(node_id, "terminate", key.owner, run, key.name)

    def end_of_file(self, node_id: str, path: str, most_bytes: int) -> FileEnd:
        """Have a node read the end of a file on its machine."""
        try:
            end = self._call(node_id, "end_of_file", path, most_bytes)
        except UnreachableError as error:
            _logger.warning("The end of %s is not known: %s", path, error)
            return FileEnd()
        return end if isinstance(end, FileEnd) else FileEnd()

    def _status(self, told: TaskStatus, node_id: str) -> TaskStatus:
        known = self._nodes.find(node_id)
        if isinstance(told, Ended) or (known is not None and not known.lost):
            return told
        return Lost()

    def _check_up(self, node_id: str) -> None:
        known = self._nodes.find(node_id)
        if known is None or not known.is_ready:
            why = known.lost if known is not None else ""
            raise EngineError(f"Node {node_id} is not there{why and ': '}{why}")

    def _call(self, node_id: str, method: str, *arguments: object) -> object:
        return self._link.call(node_id, method, *arguments, timeout_seconds=_ANSWER_SECONDS)

    def _sources(self, mounts: tuple[Mount, ...]) -> tuple[ShareSource, ...]:
        """Say where nodes that do not see this service's shares get them."""
        shares = self._state.shares
        found = []
        for mount in mounts:
            if self._share_url is not None and mount.source.parent.parent == shares:
                url, query = self._share_url(mount.source.parent.name, mount.source.name)
                found.append(ShareSource(str(mount.source), url, query))
        return tuple(found)

    def _peers(self, node_ids: Iterable[str]) -> tuple[Peer, ...]:
        """Say to a node of a job which nodes the job has."""
        found = []
        for node_id in node_ids:
            known = self._nodes.find(node_id)
            if known is not None and known.facts is not None and known.prepared is not None:
                facts, prepared = known.facts, known.prepared
                found.append(
                    Peer(
                        node_id,
                        facts.address,
                        facts.interface,
                        facts.network,
                        max(prepared.gpu_count, 1),
                        prepared.environment.get(DEVICES, ""),
                    )
                )
        return tuple(found)

    def _notify_later(self, owner: Owner, owner_id: str) -> None:
        timer = threading.Timer(_ASK_AGAIN_SECONDS, self._notify, (owner, owner_id))
        timer.daemon = True
        timer.start()

    # What the driver says.

    def _hear(self, message: object) -> None:
        if isinstance(message, Changed):
            self._take_in(message)
        elif isinstance(message, Up):
            self._welcome(message)
        elif isinstance(message, Waits):
            _logger.warning(
                "Node %s waits for a machine of Ray. %s", message.node_id, message.what_for
            )
        elif isinstance(message, Gone):
            self._lose(message.node_id, message.why)
        elif isinstance(message, Connected):
            self._introduce()
        elif isinstance(message, Failed):
            self._be_out(message.message)

    def _introduce(self) -> None:
        """Tell a new driver which nodes there are."""
        self._outage.is_over()
        self._runs.begin_driver()
        with self._telling:
            living = self._nodes.living()
            for node_id, known in living.items():
                if known.facts is None:
                    self._link.send(Make(known.wanted))
                else:
                    cluster_uid = known.wanted.machine.cluster_uid
                    self._link.send(Adopt(node_id, known.facts, cluster_uid))
            self._link.send(Sweep(tuple(living)))
        for node_id in living:
            self._notify("node", node_id)  # which may wait for Ray

    def _be_out(self, why: str) -> None:
        if not self._outage.goes_on(why):
            return
        for node_id, known in self._nodes.living().items():
            if known.facts is not None:
                self._lose(node_id, f"Ray's head has been out of reach for long ({why})")

    def _welcome(self, message: Up) -> None:
        if self._nodes.welcome(message.node_id, message.facts):
            self._notify("node", message.node_id)
        else:
            self._link.send(Release(message.node_id))

    def _lose(self, node_id: str, why: str) -> None:
        if self._nodes.lose(node_id, why):
            self._notify("node", node_id)

    def _take_in(self, message: Changed) -> None:
        node_id = message.node_id
        known = self._nodes.find(node_id)
        if known is None or known.lost:
            return  # what a lost node says late does not count
        learnt = self._runs.learn(node_id, message.changes)
        for run in learnt.over:
            self._link.tell(node_id, "release_run", run)
        for kind, run, name in learnt.unheard:
            self._link.tell(node_id, "terminate", kind, run, name)
        for owner, owner_id in learnt.changed:
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

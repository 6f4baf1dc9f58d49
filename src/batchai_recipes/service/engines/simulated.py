"""An engine without processes, whose tasks end when its user says so or their time has come."""

import heapq
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

from batchai_recipes.service.clock import Clock
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
    Running,
    Task,
    TaskKey,
    TaskStatus,
)
from batchai_recipes.service.engines.file_end import FileEnd

_TERMINATED_EXIT_CODE = 143
_FIRST_PORT = 20_000


def _to_nobody(_owner: Owner | None = None, _owner_id: str = "", /) -> None:
    """Take notice of nothing."""


class SimulatedEngine:
    """Keeps nodes and tasks in memory, deterministically, for tests and for trying out schedules.

    Args:
        clock: Tells when tasks end.
        stubborn: Tasks do not end when they are terminated, only upon :meth:`end`.
        lasting: Tells how long a task takes until it ends with exit code 0, which happens upon
            :meth:`end_due`; without it, tasks wait for :meth:`end`.
        remember: Whether :attr:`launched` keeps every task; off for millions of them.

    Example:
        >>> from batchai_recipes.service.clock import SystemClock
        >>> engine = SimulatedEngine(SystemClock())
        >>> engine.prepare_node("node-1", ())
        True
        >>> sorted(engine.prepared_nodes)
        ['node-1']
    """

    def __init__(
        self,
        clock: Clock,
        *,
        stubborn: bool = False,
        lasting: Callable[[Task], timedelta] | None = None,
        remember: bool = True,
    ) -> None:
        self._clock = clock
        self._stubborn = stubborn
        self._lasting = lasting
        self._remember = remember
        self._notify: Notify = _to_nobody
        self._tasks: dict[tuple[Owner, str], dict[str, TaskStatus]] = {}
        self._ends: list[tuple[datetime, int, TaskKey]] = []
        self._launches = 0
        self._refused_nodes: EngineError | None = None
        self._lost: dict[str, str] = {}
        self._node_of: dict[TaskKey, str] = {}
        self.launched: list[Task] = []
        self.termination_requests: list[TaskKey] = []
        self.prepared_nodes: dict[str, tuple[Mount, ...]] = {}
        self.gpu_counts: dict[str, int] = {}
        self.prepared_jobs: dict[str, tuple[Mount, ...]] = {}

    def start(self, notify: Notify) -> None:
        """Begin to report ends."""
        self._notify = notify

    def stop(self) -> None:
        """Stop reporting."""
        self._notify = _to_nobody

    def refuse_nodes(self, error: EngineError | None) -> None:
        """Let every later :meth:`prepare_node` fail, or (with None) succeed again."""
        self._refused_nodes = error

    def end(self, key: TaskKey, exit_code: int) -> None:
        """Let a running task end by itself, or upon the termination that it was asked for.

        Args:
            key: The task.
            exit_code: Its exit code.

        Raises:
            KeyError: It does not run.
        """
        if self._status(key) != Running():
            raise KeyError(f"{key} does not run")
        asked = key in self.termination_requests
        reason: Literal["terminated", "exited"] = "terminated" if asked else "exited"
        self._change(key, Ended(reason, exit_code, self._clock.now()))

    def next_end(self) -> datetime | None:
        """Return when the next task's time has come, or None when there is none."""
        return self._ends[0][0] if self._ends else None

    def end_due(self) -> None:
        """End the tasks whose time has come, each with exit code 0."""
        while self._ends and self._ends[0][0] <= self._clock.now():
            _, _, key = heapq.heappop(self._ends)
            if self._status(key) == Running():
                self.end(key, 0)

    def run_out_of_time(self, key: TaskKey) -> None:
        """Let a running task reach its time limit."""
        self._change(key, Ended("time limit", _TERMINATED_EXIT_CODE, self._clock.now()))

    def lose(self, key: TaskKey) -> None:
        """Let a running task vanish, as when its machine restarts."""
        self._change(key, Lost())

    def running(self) -> list[TaskKey]:
        """Return the tasks that run, in the order of their launch."""
        return [
            TaskKey(*owner, name)
            for owner, tasks in self._tasks.items()
            for name, status in tasks.items()
            if status == Running()
        ]

    def prepare_node(
        self,
        node_id: str,
        mounts: tuple[Mount, ...],
        gpu_count: int = 0,
        machine: Machine | None = None,
    ) -> bool:
        """Make a node, unless nodes are refused."""
        del machine
        if self._refused_nodes is not None:
            raise self._refused_nodes
        self.prepared_nodes[node_id] = mounts
        self.gpu_counts[node_id] = gpu_count
        return True

    def lost(self, node_id: str) -> str:
        """Say why a node was lost, if it was."""
        return self._lost.get(node_id, "")

    def lose_node(self, node_id: str, why: str) -> None:
        """Let a node vanish with all that runs on it, as when its machine fails."""
        self._lost[node_id] = why
        for key, on in list(self._node_of.items()):
            if on == node_id and self._status(key) == Running():
                self.lose(key)
        self._notify("node", node_id)

    def node(self, node_id: str) -> Node:
        """Describe a node."""
        return Node(
            address=node_id,
            mount_root=f"/nodes/{node_id}/mounts",
            gpu_count=0,
            environment={"PATH": "/usr/bin:/bin", "HOME": "/root"},
        )

    def release_node(self, node_id: str) -> None:
        """Forget a node and its tasks."""
        self.prepared_nodes.pop(node_id, None)
        self.gpu_counts.pop(node_id, None)
        self._lost.pop(node_id, None)
        self._forget("node", node_id)

    def prepare_job(
        self, job_uid: str, node_ids: tuple[str, ...], mounts: tuple[Mount, ...]
    ) -> None:
        """Make a job's folders; they are one for all nodes."""
        del node_ids
        self.prepared_jobs[job_uid] = mounts

    def job(self, job_uid: str, node_ids: tuple[str, ...]) -> JobFolders:
        """Say where a job's folders would be."""
        return JobFolders(
            root=f"/jobs/{job_uid}",
            mount_root=f"/jobs/{job_uid}/mounts",
            shared_temp=f"/jobs/{job_uid}/shared",
            temp={node_id: f"/jobs/{job_uid}/temp/{node_id}" for node_id in node_ids},
            mpi_host_file=f"/jobs/{job_uid}/hostfile",
        )

    def ports(self, job_uid: str, node_id: str, count: int) -> tuple[int, ...]:
        """Choose the same ports for every job; nothing listens."""
        del job_uid, node_id
        return tuple(range(_FIRST_PORT, _FIRST_PORT + count))

    def jobs(self) -> list[str]:
        """Return the uids of the jobs that have folders."""
        return sorted(self.prepared_jobs)

    def release_job(self, job_uid: str) -> None:
        """Forget a job and its tasks."""
        self.prepared_jobs.pop(job_uid, None)
        self._forget("job", job_uid)

    def launch(self, task: Task) -> None:
        """Count a task as running, unless it was launched before."""
        tasks = self._tasks.setdefault((task.key.owner, task.key.owner_id), {})
        if task.key.name in tasks:
            return
        tasks[task.key.name] = Running()
        self._node_of[task.key] = task.node_id
        self._launches += 1
        if self._remember:
            self.launched.append(task)
        if self._lasting is not None:
            end = self._clock.now() + self._lasting(task)
            heapq.heappush(self._ends, (end, self._launches, task.key))

    def tasks(self, owner: Owner, owner_id: str) -> Mapping[str, TaskStatus]:
        """Return the status of every task of an owner that was ever launched, by name."""
        return dict(self._tasks.get((owner, owner_id), {}))

    def terminate(self, key: TaskKey) -> None:
        """End a running task with exit code 143, or only note the wish of a stubborn engine."""
        if self._status(key) != Running():
            return
        if key not in self.termination_requests:
            self.termination_requests.append(key)
        if not self._stubborn:
            self.end(key, _TERMINATED_EXIT_CODE)

    def end_of_file(self, node_id: str, path: str, most_bytes: int) -> FileEnd:
        """Read the end of a file, which a test may have written."""
        del node_id
        return FileEnd.of(Path(path), most_bytes)

    def _status(self, key: TaskKey) -> TaskStatus | None:
        return self._tasks.get((key.owner, key.owner_id), {}).get(key.name)

    def _change(self, key: TaskKey, status: TaskStatus) -> None:
        self._tasks[key.owner, key.owner_id][key.name] = status
        self._notify(key.owner, key.owner_id)

    def _forget(self, owner: Owner, owner_id: str) -> None:
        for name in self._tasks.pop((owner, owner_id), {}):
            key = TaskKey(owner, owner_id, name)
            self._node_of.pop(key, None)
            if key in self.termination_requests:
                self.termination_requests.remove(key)

"""An engine without processes, whose tasks end when its user says so."""

from collections.abc import Callable, Mapping
from typing import Literal

from batchai_recipes.service.clock import Clock
from batchai_recipes.service.engines.engine import (
    Ended,
    EngineError,
    JobFolders,
    Lost,
    Mount,
    Node,
    Running,
    Task,
    TaskKey,
    TaskStatus,
)

_TERMINATED_EXIT_CODE = 143
_FIRST_PORT = 20_000


class SimulatedEngine:
    """Keeps nodes and tasks in memory, deterministically, for tests and for trying out schedules.

    Args:
        clock: Tells when tasks end.
        stubborn: Tasks do not end when they are terminated, only upon :meth:`end`.

    Example:
        >>> from batchai_recipes.service.clock import SystemClock
        >>> engine = SimulatedEngine(SystemClock())
        >>> engine.prepare_node("node-1", ())
        >>> sorted(engine.prepared_nodes)
        ['node-1']
    """

    def __init__(self, clock: Clock, *, stubborn: bool = False) -> None:
        self._clock = clock
        self._stubborn = stubborn
        self._notify: Callable[[], None] = lambda: None
        self._tasks: dict[TaskKey, TaskStatus] = {}
        self._refused_nodes: EngineError | None = None
        self.launched: list[Task] = []
        self.termination_requests: list[TaskKey] = []
        self.prepared_nodes: dict[str, tuple[Mount, ...]] = {}
        self.prepared_jobs: dict[str, tuple[Mount, ...]] = {}

    def start(self, notify: Callable[[], None]) -> None:
        """Begin to report ends."""
        self._notify = notify

    def stop(self) -> None:
        """Stop reporting."""
        self._notify = lambda: None

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
        if self._tasks.get(key) != Running():
            raise KeyError(f"{key} does not run")
        asked = key in self.termination_requests
        reason: Literal["terminated", "exited"] = "terminated" if asked else "exited"
        self._tasks[key] = Ended(reason, exit_code, self._clock.now())
        self._notify()

    def run_out_of_time(self, key: TaskKey) -> None:
        """Let a running task reach its time limit."""
        self._tasks[key] = Ended("time limit", _TERMINATED_EXIT_CODE, self._clock.now())
        self._notify()

    def lose(self, key: TaskKey) -> None:
        """Let a running task vanish, as when its machine restarts."""
        self._tasks[key] = Lost()
        self._notify()

    def running(self) -> list[TaskKey]:
        """Return the tasks that run, in the order of their launch."""
        return [key for key, status in self._tasks.items() if status == Running()]

    def prepare_node(self, node_id: str, mounts: tuple[Mount, ...], gpu_count: int = 0) -> None:
        """Make a node, unless nodes are refused."""
        del gpu_count
        if self._refused_nodes is not None:
            raise self._refused_nodes
        self.prepared_nodes[node_id] = mounts

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
            mount_root=f"/jobs/{job_uid}/mounts",
            shared_temp=f"/jobs/{job_uid}/shared",
            temp={node_id: f"/jobs/{job_uid}/temp/{node_id}" for node_id in node_ids},
            mpi_host_file=f"/jobs/{job_uid}/hostfile",
        )

    def ports(self, job_uid: str, node_id: str, count: int) -> tuple[int, ...]:
        """Choose the same ports for every job; nothing listens."""
        del job_uid, node_id
        return tuple(range(_FIRST_PORT, _FIRST_PORT + count))

    def release_job(self, job_uid: str) -> None:
        """Forget a job and its tasks."""
        self.prepared_jobs.pop(job_uid, None)
        self._forget("job", job_uid)

    def launch(self, task: Task) -> None:
        """Count a task as running, unless it was launched before."""
        if task.key in self._tasks:
            return
        self._tasks[task.key] = Running()
        self.launched.append(task)

    def tasks(self, owner: Literal["job", "node"], owner_id: str) -> Mapping[str, TaskStatus]:
        """Return the status of every task of an owner that was ever launched, by name."""
        return {
            key.name: status
            for key, status in self._tasks.items()
            if (key.owner, key.owner_id) == (owner, owner_id)
        }

    def terminate(self, key: TaskKey) -> None:
        """End a running task with exit code 143, or only note the wish of a stubborn engine."""
        if self._tasks.get(key) != Running():
            return
        if key not in self.termination_requests:
            self.termination_requests.append(key)
        if not self._stubborn:
            self.end(key, _TERMINATED_EXIT_CODE)

    def _forget(self, owner: Literal["job", "node"], owner_id: str) -> None:
        for key in [k for k in self._tasks if (k.owner, k.owner_id) == (owner, owner_id)]:
            del self._tasks[key]
            if key in self.termination_requests:
                self.termination_requests.remove(key)

"""The engine whose nodes are folders of this machine and whose tasks are its processes."""

import hashlib
import os
import shutil
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from attrs import evolve

from batchai_recipes.service.engines.containers import (
    CHANGES_PREFIX,
    Bind,
    ContainerPolicy,
    Containers,
    remove_changes,
)
from batchai_recipes.service.engines.engine import (
    EngineError,
    JobFolders,
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
from batchai_recipes.service.engines.folder_removal import FolderRemoval
from batchai_recipes.service.engines.folders import (
    job_folders,
    make_folder,
    mount_all,
    read_only_below,
    volumes_below,
    writable_below,
)
from batchai_recipes.service.engines.gpus import DEVICES, GpuDriver, NodeGpus, Nvml, visible_gpus
from batchai_recipes.service.engines.ports import JobPorts
from batchai_recipes.service.engines.supervision.cgroups import Cgroup, own_directory
from batchai_recipes.service.engines.supervisors import SupervisorError, Supervisors
from batchai_recipes.service.engines.task_statuses import TaskStatuses
from batchai_recipes.service.state_directory import StateDirectory

# What a task starts with. A list of what is let through and not of what is held back: whatever
# secrets the service's own environment holds, its jobs never see them.
_PASSED_ON = {"HOME", "LANG", "LD_LIBRARY_PATH", "LOGNAME", "OMP_NUM_THREADS", "PATH", "TZ", "USER"}
_PASSED_ON_PREFIXES = ("CUDA", "LC_", "NVIDIA")


class LocalEngine:
    """Runs tasks as processes of this machine, each under a supervisor that outlives the service.

    A node is a folder; its volumes are links. All nodes share the machine. What runs where is read
    from the records of the tasks alone, so that a new engine over the same state directory knows
    all that the old one knew.

    Args:
        state: Where nodes and jobs lie.
        environ: The variables from which a task's are picked.
        memory_limit_bytes: How much memory a task may have: all its processes together where this
            user may make control groups with such a limit, else each of them as address space;
            None for all there is.
        containers: When tasks that want a container get it.
        gpu_driver: Knows the GPUs of this machine.
        own_gpus: Whether the GPUs that ``environ`` shows were given to the nodes of this engine
            alone, whatever those of others in the folder have.
        outlived: Whether tasks outlive this process; if not, they are killed when it ends.
    """

    def __init__(
        self,
        state: StateDirectory,
        environ: Mapping[str, str] = os.environ,
        *,
        memory_limit_bytes: int | None = None,
        containers: ContainerPolicy = "auto",
        gpu_driver: GpuDriver | None = None,
        own_gpus: bool = False,
        outlived: bool = True,
    ) -> None:
        self._state = state
        self._environment = {**safe_environment(environ), **_mpi_as_root()}
        self._outlived = outlived
        self._supervisors = Supervisors(state.supervisor_log, self._environment, outlived=outlived)
        self._statuses = TaskStatuses(self._folder_of)
        self._removal = FolderRemoval(state.released, before=remove_changes)
        self._containers = Containers(containers, self._environment)
        self._gpu_driver = gpu_driver or Nvml()
        self._own_gpus = own_gpus
        self._memory_limit_bytes = memory_limit_bytes
        self._cgroup: Cgroup | None = None

    def start(self, notify: Notify) -> None:
        """Begin to watch."""
        self._statuses.start(notify)
        self._removal.start()
        self._cgroup = _make_cgroup(self._state)
        if self._cgroup is not None and self._memory_limit_bytes is not None:
            self._cgroup.lend_memory()

    def stop(self) -> None:
        """Stop watching; what runs goes on running."""
        self._statuses.stop()
        self._supervisors.close()
        if self._cgroup is not None:
            self._cgroup.remove()  # unless something runs on
        self._removal.stop()

    def prepare_node(
        self,
        node_id: str,
        mounts: tuple[Mount, ...],
        gpu_count: int = 0,
        machine: Machine | None = None,
    ) -> bool:
        """Make a node's folder with its volumes linked, and give it GPUs of its own."""
        del machine  # there is but one
        mount_all(self._mount_root(node_id), mounts)
        self._gpus.give(node_id, gpu_count)
        try:
            self._supervisors.get_ready()  # where there is a node there will be tasks
            self._containers.get_ready()
        except SupervisorError as error:
            raise EngineError(str(error)) from error
        return True

    def lost(self, node_id: str) -> str:
        """Lose no node: this machine is there as long as the service is."""
        del node_id
        return ""

    def node(self, node_id: str) -> Node:
        """Describe a prepared node."""
        return Node(
            address="127.0.0.1",
            mount_root=str(self._mount_root(node_id)),
            gpu_count=len(self._gpus.of(node_id).devices),
            environment={**self._environment, **self._gpus.variables(node_id)},
            interface="lo",
        )

    def release_node(self, node_id: str) -> None:
        """Remove a node's folder, never what its links lead to."""
        self._removal.remove(self._state.nodes / node_id)
        self._statuses.forget("node", node_id)
        self._gpus.forget(node_id)

    def prepare_job(
        self, job_uid: str, node_ids: tuple[str, ...], mounts: tuple[Mount, ...]
    ) -> None:
        """Make a job's folders with its own volumes linked."""
        folders = self.job(job_uid, node_ids)
        if mounts:
            mount_all(Path(folders.mount_root), mounts)
        for folder in (folders.shared_temp, *folders.temp.values()):
            make_folder(Path(folder))
        hosts = [self.node(node_id) for node_id in node_ids]
        host = hosts[0]
        # All nodes are one host to MPI, which takes no host twice.
        slots = sum(max(each.gpu_count, 1) for each in hosts)
        try:
            Path(folders.mpi_host_file).write_text(
                f"{host.address} slots={slots}\n", encoding="utf-8"
            )
        except OSError as error:
            raise EngineError(f"The MPI host file cannot be written: {error}") from error

    def job(self, job_uid: str, node_ids: tuple[str, ...]) -> JobFolders:
        """Say where a job's folders are."""
        return job_folders(self._state.jobs / job_uid, node_ids)

    def ports(self, job_uid: str, node_id: str, count: int) -> tuple[int, ...]:
        """Choose ports that no other job of this service has; all nodes share the machine."""
        return JobPorts(self._state.jobs).choose(job_uid, node_id, count)

    def jobs(self) -> list[str]:
        """Return the uids of the jobs that have folders."""
        return sorted(entry.name for entry in os.scandir(self._state.jobs) if entry.is_dir())

    def release_job(self, job_uid: str) -> None:
        """Remove a job's folders, never what its links lead to."""
        self._removal.remove(self._state.jobs / job_uid)
        self._statuses.forget("job", job_uid)

    def launch(self, task: Task) -> None:
        """Start a task, unless it has been started before."""
        key = task.key
        if key.name in self.tasks(key.owner, key.owner_id):
            return
        owner = self._folder_of(key.owner, key.owner_id)
        for directory in dict.fromkeys([*task.directories, task.working_directory, str(owner)]):
            make_folder(Path(directory))
        try:
            connection = self._supervisors.start(self._request(task))
        except SupervisorError as error:
            raise EngineError(f"Task {key.name!r} did not start: {error}") from error
        self._statuses.launched(key, connection)

    def tasks(self, owner: Owner, owner_id: str) -> Mapping[str, TaskStatus]:
        """Return the status of every task of an owner that was ever launched, by name."""
        return self._statuses.of(owner, owner_id)

    def terminate(self, key: TaskKey) -> None:
        """Ask a task to end, through its supervisor."""
        self._statuses.terminate(key)

    def end_of_file(self, node_id: str, path: str, most_bytes: int) -> FileEnd:
        """Read the end of a file of this machine."""
        del node_id
        return FileEnd.of(Path(path), most_bytes)

    @property
    def runs_containers(self) -> bool:
        """Whether a task that wants a container may get one here."""
        return self._containers.are_run

    def task_of(self, pid: int) -> TaskKey | None:
        """Find the running task that a process of this machine belongs to.

        Args:
            pid: The process's id.
        """
        return self._statuses.task_of(pid)

    @cached_property
    def _gpus(self) -> NodeGpus:
        present = visible_gpus(self._gpu_driver, self._environment)
        return NodeGpus(self._state.nodes, present, are_own=self._own_gpus)

    @cached_property
    def _shell(self) -> str:
        return shutil.which("bash", path=self._environment.get("PATH")) or "/bin/sh"

    def _mount_root(self, node_id: str) -> Path:
        return self._state.nodes / node_id / "mounts"

    def _folder_of(self, owner: Owner, owner_id: str) -> Path:
        return (self._state.jobs if owner == "job" else self._state.nodes) / owner_id

    def _request(self, task: Task) -> dict[str, Any]:
        cgroup = self._cgroup
        environment = {**self.node(task.node_id).environment, **task.environment}
        container = task.container and self._containers.request(
            evolve(task.container, gpus=self._gpus_within(task, environment)),
            name=f"batchai-{task.key.owner_id}-{task.key.name}",
            directory=task.working_directory,
            binds=self._binds(task),
            memory_limit_bytes=self._memory_limit_bytes,
            changes_file=str(
                self._folder_of("job", task.key.owner_id) / f"{CHANGES_PREFIX}{task.node_id}.json"
            ),
        )
        # Only a job's first task has notes.
        shortage = self._gpus.shortage(task.node_id) if task.notes else ()
        return {
            "record": self._statuses.record(task.key),
            "label": task.label,
            "notes": (*task.notes, *shortage),
            "title": task.command_line.strip(),
            "command": [self._shell, "-c", task.command_line],
            "environment": environment,
            "working_directory": task.working_directory,
            "stdout": task.stdout,
            "stderr": task.stderr,
            "log": task.log,
            "time_limit_seconds": task.time_limit_seconds,
            "grace_seconds": task.grace_seconds,
            # What is killed with this process is lost after a power cut, and nobody looks for it.
            "durable": self._outlived,
            "memory_limit_bytes": self._memory_limit_bytes,
            **self._views(task),
            "container": container,
            "cgroup": f"{cgroup.path}/{task.key.owner_id}-{task.key.name}" if cgroup else None,
        }

    def _gpus_within(self, task: Task, environment: Mapping[str, str]) -> tuple[str, ...]:
        """Return the GPUs that a task sees in a container: its node's, under MPI its job's."""
        if not self._gpus.of(task.node_id).devices:
            return ()
        return tuple(filter(None, environment.get(DEVICES, "").split(",")))

    def _views(self, task: Task) -> dict[str, Any]:
        """Say which folders a task must not write to, and which of those in them it may.

        Each comes with whether the task must not run if it could: a copy of a remote volume may be
        written to, since nothing of that is ever copied back.
        """
        roots = [self._mount_root(task.node_id)]
        if task.key.owner == "job":
            roots.append(self._state.jobs / task.key.owner_id / "mounts")
        found = [] if task.is_of_service else [f for root in roots for f in read_only_below(root)]
        copies = f"{os.path.realpath(self._state.volumes)}/"
        return {
            "read_only": [(folder, not folder.startswith(copies)) for folder in found],
            "writable": [f for root in roots for f in writable_below(root, found)] if found else [],
        }

    def _binds(self, task: Task) -> list[Bind]:
        """Say what of this machine a task sees in a container: all that it was told of."""
        job = self._folder_of("job", task.key.owner_id)
        # Under MPI it runs ranks of all the job's nodes.
        temps = sorted(job.glob("temp-*"))
        nodes = {task.node_id, *(path.name.removeprefix("temp-") for path in temps)}
        folders = self.job(task.key.owner_id, tuple(nodes))
        roots = [*map(self._mount_root, sorted(nodes)), Path(folders.mount_root)]
        read_only = {folder for folder, _ in self._views(task)["read_only"]}
        own = [Path(folders.shared_temp), Path(folders.mpi_host_file), *temps]
        binds = [
            *(Bind(str(path)) for path in (*roots, *own) if path.exists()),
            *(
                Bind(path, os.path.realpath(path) in read_only)
                for path in dict.fromkeys(path for root in roots for path in volumes_below(root))
            ),
        ]
        elsewhere = [
            Bind(path)
            for path in dict.fromkeys([*task.directories, task.working_directory])
            if not any(Path(path).is_relative_to(bind.path) for bind in binds)
        ]
        return [*binds, *elsewhere]


def _mpi_as_root() -> dict[str, str]:
    """Return what lets Open MPI run as root, which it refuses lest one does so by mistake."""
    if os.geteuid() != 0:
        return {}
    return {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}


def _make_cgroup(state: StateDirectory) -> Cgroup | None:
    """Make the control group of a service's tasks, below the one that the service is in."""
    own = own_directory()
    name = hashlib.sha256(str(state.root).encode()).hexdigest()[:12]
    return None if own is None else Cgroup.make(f"{own}/batchai-recipes-{name}")


def safe_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Pick the variables that a task may inherit from the service.

    Args:
        environ: All variables of the service.

    Returns:
        Those that describe the machine and its user, never Azure's or the service's own.

    Example:
        >>> safe_environment({"PATH": "/bin", "AZURE_CLIENT_SECRET": "s", "CUDA_HOME": "/c"})
        {'PATH': '/bin', 'CUDA_HOME': '/c'}
    """
    return {
        name: value
        for name, value in environ.items()
        if name in _PASSED_ON or name.startswith(_PASSED_ON_PREFIXES)
    }

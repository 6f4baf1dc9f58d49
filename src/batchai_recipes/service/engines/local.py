"""The engine whose nodes are folders of this machine and whose tasks are its processes."""

import contextlib
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from attrs import asdict

from batchai_recipes.service.engines import supervisor
from batchai_recipes.service.engines.engine import (
    Ended,
    EngineError,
    JobFolders,
    Lost,
    Mount,
    Node,
    NotStarted,
    Running,
    Task,
    TaskKey,
    TaskStatus,
)
from batchai_recipes.service.engines.folders import make_folder, mount_all, remove_folder
from batchai_recipes.service.engines.gpus import visible_gpus
from batchai_recipes.service.engines.ports import JobPorts
from batchai_recipes.service.engines.process_watch import ProcessWatch, open_pidfd
from batchai_recipes.service.state_directory import StateDirectory, write_private

_LAUNCH_PATIENCE_SECONDS = 60.0

# What a task starts with. A list of what is let through and not of what is held back: whatever
# secrets the service's own environment holds, its jobs never see them.
_PASSED_ON = {"HOME", "LANG", "LD_LIBRARY_PATH", "LOGNAME", "OMP_NUM_THREADS", "PATH", "TZ", "USER"}
_PASSED_ON_PREFIXES = ("CUDA", "LC_", "NVIDIA")


class LocalEngine:
    """Runs tasks as processes of this machine, each under a supervisor that outlives the service.

    A node is a folder; its volumes are links. All nodes share the machine. What runs where is read
    from the task folders alone, so that a new engine over the same state directory knows all that
    the old one knew.

    Args:
        state: Where nodes and jobs lie.
        environ: The variables from which a task's are picked.
    """

    def __init__(self, state: StateDirectory, environ: Mapping[str, str] = os.environ) -> None:
        self._state = state
        self._environment = safe_environment(environ)
        self._watch: ProcessWatch | None = None
        self._notify: Callable[[], None] = lambda: None

    def start(self, notify: Callable[[], None]) -> None:
        """Begin to watch."""
        self._notify = notify
        self._watch = ProcessWatch(notify)

    def stop(self) -> None:
        """Stop watching; what runs goes on running."""
        if self._watch is not None:
            self._watch.close()
            self._watch = None

    def prepare_node(self, node_id: str, mounts: tuple[Mount, ...]) -> None:
        """Make a node's folder with its volumes linked."""
        mount_all(self._state.nodes / node_id / "mounts", mounts)

    def node(self, node_id: str) -> Node:
        """Describe a prepared node."""
        return Node(
            address="127.0.0.1",
            mount_root=str(self._state.nodes / node_id / "mounts"),
            gpu_count=self._gpu_count,
            environment=self._environment,
            interface="lo",
        )

    def release_node(self, node_id: str) -> None:
        """Remove a node's folder, never what its links lead to."""
        remove_folder(self._state.nodes / node_id)

    def prepare_job(
        self, job_uid: str, node_ids: tuple[str, ...], mounts: tuple[Mount, ...]
    ) -> None:
        """Make a job's folders with its own volumes linked."""
        folders = self.job(job_uid, node_ids)
        mount_all(Path(folders.mount_root), mounts)
        for folder in (folders.shared_temp, *folders.temp.values()):
            make_folder(Path(folder))
        host = self.node(node_ids[0])
        # All nodes are one host to MPI, which takes no host twice.
        slots = max(host.gpu_count, 1) * len(node_ids)
        try:
            Path(folders.mpi_host_file).write_text(
                f"{host.address} slots={slots}\n", encoding="utf-8"
            )
        except OSError as error:
            raise EngineError(f"The MPI host file cannot be written: {error}") from error

    def job(self, job_uid: str, node_ids: tuple[str, ...]) -> JobFolders:
        """Say where a job's folders are."""
        root = self._state.jobs / job_uid
        return JobFolders(
            mount_root=str(root / "mounts"),
            shared_temp=str(root / "shared"),
            temp={node_id: str(root / "temp" / node_id) for node_id in node_ids},
            mpi_host_file=str(root / "hostfile"),
        )

    def ports(self, job_uid: str, node_id: str, count: int) -> tuple[int, ...]:
        """Choose ports that no other job of this service has; all nodes share the machine."""
        return JobPorts(self._state.jobs).choose(job_uid, node_id, count)

    def release_job(self, job_uid: str) -> None:
        """Remove a job's folders, never what its links lead to."""
        remove_folder(self._state.jobs / job_uid)

    def launch(self, task: Task) -> None:
        """Start a task, unless it has been started before."""
        folder = self._folder(task.key)
        if not isinstance(self._status(folder), NotStarted):
            return
        for directory in (*task.directories, task.working_directory, str(folder)):
            make_folder(Path(directory))
        try:
            write_private(folder / "task.json", json.dumps(self._record(task)))
            status = self._supervise(folder)
        except (OSError, subprocess.TimeoutExpired) as error:
            # Without the claim it never ran; it must not keep its secrets on the disk.
            (folder / "task.json").unlink(missing_ok=True)
            raise EngineError(f"Task {task.key.name!r} did not start: {error}") from error
        if status not in (supervisor.CLAIMED, supervisor.ALREADY_CLAIMED):
            (folder / "task.json").unlink(missing_ok=True)
            raise EngineError(
                f"The supervisor of task {task.key.name!r} did not start (exit status {status}): "
                f"see {folder / 'supervisor.log'}"
            )
        if not isinstance(self._status(folder), Running):
            self._notify()  # it was over before there was anything to watch

    def tasks(self, owner: Literal["job", "node"], owner_id: str) -> Mapping[str, TaskStatus]:
        """Return the status of every task of an owner that was ever launched, by name."""
        folder = self._tasks_of(owner, owner_id)
        if not folder.is_dir():
            return {}
        found = {entry.name: self._status(entry) for entry in sorted(folder.iterdir())}
        return {name: status for name, status in found.items() if status != NotStarted()}

    def terminate(self, key: TaskKey) -> None:
        """Ask a task to end, through its supervisor."""
        folder = self._folder(key)
        if not isinstance(self._status(folder), Running):
            return
        pid = _read_record(folder / "supervisor.json")["pid"]
        handle = open_pidfd(pid)
        try:
            # A supervisor that holds its lock now cannot have left its id to another process.
            if not _is_locked(folder / "life.lock"):
                return
            if handle is None:
                os.kill(pid, signal.SIGTERM)
            else:
                signal.pidfd_send_signal(handle, signal.SIGTERM)
        finally:
            if handle is not None:
                os.close(handle)

    def _supervise(self, folder: Path) -> int:
        with (folder / "supervisor.log").open("ab") as log:
            return subprocess.run(  # noqa: S603  # our own supervisor, by its full path
                [sys.executable, "-I", "-S", supervisor.__file__, str(folder)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment,
                start_new_session=True,
                timeout=_LAUNCH_PATIENCE_SECONDS,
                check=False,
            ).returncode

    @cached_property
    def _gpu_count(self) -> int:
        return visible_gpus(self._environment)

    def _tasks_of(self, owner: Literal["job", "node"], owner_id: str) -> Path:
        root = self._state.jobs if owner == "job" else self._state.nodes
        return root / owner_id / "tasks"

    def _folder(self, key: TaskKey) -> Path:
        return self._tasks_of(key.owner, key.owner_id) / key.name

    def _record(self, task: Task) -> dict[str, Any]:
        shell = shutil.which("bash", path=self._environment.get("PATH")) or "/bin/sh"
        record = asdict(task)
        del record["key"], record["node_id"], record["directories"], record["command_line"]
        return {
            **record,
            "title": task.command_line.strip(),
            "command": [shell, "-c", task.command_line],
            "environment": {**self._environment, **task.environment},
        }

    def _status(self, folder: Path) -> TaskStatus:
        if (folder / "exit.json").exists():
            return _ended(folder)
        if not (folder / "supervisor.json").exists():
            return NotStarted()
        # Read by its supervisor already; here again only if two services launched it at once.
        (folder / "task.json").unlink(missing_ok=True)
        life = folder / "life.lock"
        if _is_locked(life):
            if self._watch is not None:
                pid = _read_record(folder / "supervisor.json")["pid"]
                self._watch.add(pid, lambda: _is_locked(life))
            return Running()
        if (folder / "exit.json").exists():
            return _ended(folder)
        _kill_left_over(folder)
        return Lost()


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


def _ended(folder: Path) -> Ended:
    record = _read_record(folder / "exit.json")
    return Ended(
        record["reason"],
        record["exit_code"],
        datetime.fromtimestamp(record["ended_at"], timezone.utc),
        record["message"],
    )


def _read_record(path: Path) -> dict[str, Any]:
    record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return record


def _is_locked(path: Path) -> bool:
    try:
        with path.open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    return False


def _kill_left_over(folder: Path) -> None:
    """Kill what is left in the session of a task whose supervisor was killed."""
    if not (folder / "started.json").exists():
        return
    record = _read_record(folder / "started.json")
    if record["boot_id"] != supervisor.boot_id():
        return
    leader = supervisor.stat_fields(record["pid"])
    if leader is not None and int(leader[19]) != record["start_time"]:
        return  # another process has that id now, so nothing of the session is left
    for entry in Path("/proc").glob("[0-9]*"):
        fields = supervisor.stat_fields(int(entry.name))
        if fields is not None and int(fields[3]) == record["pid"]:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(int(entry.name), signal.SIGKILL)

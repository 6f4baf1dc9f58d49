"""What became of tasks: heard from their supervisors, and read from the records these leave."""

import contextlib
import json
import os
import signal
import socket
import threading
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from pathlib import Path

from batchai_recipes.service.engines.engine import (
    Ended,
    EngineError,
    Lost,
    Notify,
    NotStarted,
    Owner,
    Running,
    TaskKey,
    TaskStatus,
)
from batchai_recipes.service.engines.left_over import kill_left_over
from batchai_recipes.service.engines.process_watch import ProcessWatch, open_pidfd
from batchai_recipes.service.engines.supervision.processes import ancestors
from batchai_recipes.service.engines.supervision.task_record import (
    SUFFIX,
    Reading,
    is_supervised,
    read_record,
)

_Owner = tuple[Owner, str]


class TaskStatuses:
    """The status of every task that was ever launched, owner by owner.

    A scheduler asks much more often than anything happens, so that answers come from memory. They
    get there from the supervisors that this service started, while they are starting, and otherwise
    from the records alone.

    Args:
        folder_of: Finds the folder with the records of an owner.
    """

    def __init__(self, folder_of: Callable[[Owner, str], Path]) -> None:
        self._folder_of = folder_of
        self._watch: ProcessWatch | None = None
        self._notify: Notify = lambda *_: None
        self._lock = threading.Lock()
        # None: to be read again.
        self._known: dict[_Owner, dict[str, TaskStatus | None]] = {}
        self._starting: set[TaskKey] = set()
        self._to_terminate: set[TaskKey] = set()

    def start(self, notify: Notify) -> None:
        """Begin to watch.

        Args:
            notify: Called when a task may have changed its status.
        """
        self._notify = notify
        self._watch = ProcessWatch()

    def stop(self) -> None:
        """Stop watching, and forget everything."""
        if self._watch is not None:
            self._watch.close()
            self._watch = None
        with self._lock:
            self._known.clear()
            self._starting.clear()
            self._to_terminate.clear()

    def of(self, owner: Owner, owner_id: str) -> Mapping[str, TaskStatus]:
        """Return the status of every task of an owner that was ever launched, by name.

        Args:
            owner: Whether a job's run or a node's set-up owns them.
            owner_id: The uid of the job or the id of the node.
        """
        with self._lock:
            found = dict(self._tasks_of(owner, owner_id))
        for name in [name for name, status in found.items() if status is None]:
            found[name] = self._read(TaskKey(owner, owner_id, name))
        return {
            name: status
            for name, status in found.items()
            if status is not None and not isinstance(status, NotStarted)
        }

    def launched(self, key: TaskKey, connection: socket.socket) -> None:
        """Take note of a task whose supervisor is starting.

        Args:
            key: The task.
            connection: Whereby the supervisor answers; it holds the other end as long as it lives.

        Raises:
            EngineError: Nothing is watched.
        """
        if self._watch is None:
            connection.close()
            raise EngineError("The engine has not been started")
        with self._lock:
            self._tasks_of(key.owner, key.owner_id)[key.name] = Running()
            self._starting.add(key)
        self._watch.add_connection(
            (key, connection), connection, lambda said: self._hear(key, said)
        )

    def terminate(self, key: TaskKey) -> None:
        """Ask a task to end, through its supervisor, at once or as soon as that has started.

        Args:
            key: The task.
        """
        with self._lock:
            if key in self._starting:
                self._to_terminate.add(key)
                return
            known = self._known.get((key.owner, key.owner_id), {}).get(key.name)
        if isinstance(known, Ended | Lost):
            return
        path = self.record(key)
        reading = read_record(path)
        if reading is None or reading.ended or not reading.is_alive:
            return
        pid = reading.supervisor["pid"]
        pidfd = open_pidfd(pid)
        try:
            # A supervisor that holds its lock now cannot have left its id to another process.
            if not is_supervised(path):
                return
            with contextlib.suppress(ProcessLookupError):  # it has ended since
                if pidfd is None:
                    os.kill(pid, signal.SIGTERM)
                else:
                    signal.pidfd_send_signal(pidfd, signal.SIGTERM)
        finally:
            if pidfd is not None:
                os.close(pidfd)

    def task_of(self, pid: int) -> TaskKey | None:
        """Find the running task that a process belongs to.

        Args:
            pid: The process's id.
        """
        above = set(ancestors(pid))
        with self._lock:
            running = [
                TaskKey(owner, owner_id, name)
                for (owner, owner_id), tasks in self._known.items()
                for name, status in tasks.items()
                if status is None or isinstance(status, Running)
            ]
        for key in running:
            reading = read_record(self.record(key))
            if reading is not None and reading.is_alive and reading.supervisor["pid"] in above:
                return key
        return None

    def forget(self, owner: Owner, owner_id: str) -> None:
        """Forget an owner whose folder has been removed.

        Args:
            owner: Whether it is a job's run or a node's set-up.
            owner_id: The uid of the job or the id of the node.
        """
        with self._lock:
            self._known.pop((owner, owner_id), None)

    def record(self, key: TaskKey) -> str:
        """Say where the record of a task is, or will be.

        Args:
            key: The task.
        """
        return str(self._folder_of(key.owner, key.owner_id) / f"{key.name}{SUFFIX}")

    def _tasks_of(self, owner: Owner, owner_id: str) -> dict[str, TaskStatus | None]:
        known = self._known.get((owner, owner_id))
        if known is None:
            records = self._folder_of(owner, owner_id).glob(f"*{SUFFIX}")
            known = dict.fromkeys(sorted(path.stem for path in records))
            self._known[owner, owner_id] = known
        return known

    def _hear(self, key: TaskKey, said: bytes) -> None:
        """Take in what the supervisor of a task says; at its end the record tells the rest."""
        answer = json.loads(said or b"{}")
        with self._lock:
            self._starting.discard(key)
            terminate = key in self._to_terminate
            self._to_terminate.discard(key)
        if answer.get("outcome") == "failed":
            self._remember(key, _not_started(answer["message"]))
        elif answer.get("outcome") == "claimed":
            if terminate:
                self.terminate(key)
            return  # nobody has to hear of it
        elif not isinstance(self._known.get((key.owner, key.owner_id), {}).get(key.name), Ended):
            self._remember(key, None)
        self._notify(key.owner, key.owner_id)

    def _read(self, key: TaskKey) -> TaskStatus:
        path = self.record(key)
        reading = read_record(path)
        if reading is None:
            return NotStarted()  # but it may be launched
        status = _status(reading)
        if isinstance(status, Lost):
            kill_left_over(reading)
        elif isinstance(status, Running) and self._watch is None:
            return status  # nobody would tell when that changes
        self._remember(key, status)
        if isinstance(status, Running) and self._watch is not None:
            self._watch.add_process(
                key,
                reading.supervisor["pid"],
                lambda: is_supervised(path),
                lambda: self._has_ended(key),
            )
        return status

    def _has_ended(self, key: TaskKey) -> None:
        self._remember(key, None)
        self._notify(key.owner, key.owner_id)

    def _remember(self, key: TaskKey, status: TaskStatus | None) -> None:
        with self._lock:
            known = self._known.get((key.owner, key.owner_id))
            if known is not None:
                known[key.name] = status


def _not_started(message: str) -> Ended:
    return Ended("not started", None, datetime.now(timezone.utc), message)


def _status(reading: Reading) -> TaskStatus:
    ended = reading.ended
    if ended is not None:
        return Ended(
            ended["reason"],
            ended["exit_code"],
            datetime.fromtimestamp(ended["ended_at"], timezone.utc),
            ended["message"],
        )
    return Running() if reading.is_alive else Lost()

"""What became of tasks: read from their records once, and again when their supervisor has ended."""

import threading
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from pathlib import Path

from batchai_recipes.service.engines.engine import (
    Ended,
    Lost,
    Notify,
    NotStarted,
    Owner,
    Running,
    TaskKey,
    TaskStatus,
)
from batchai_recipes.service.engines.left_over import kill_left_over
from batchai_recipes.service.engines.process_watch import ProcessWatch
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
    get there from the records alone.

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

    def of(self, owner: Owner, owner_id: str) -> Mapping[str, TaskStatus]:
        """Return the status of every task of an owner that was ever launched, by name.

        Args:
            owner: Whether a job's run or a node's set-up owns them.
            owner_id: The uid of the job or the id of the node.
        """
        with self._lock:
            known = self._known.get((owner, owner_id))
            if known is None:
                records = self._folder_of(owner, owner_id).glob(f"*{SUFFIX}")
                known = dict.fromkeys(sorted(path.stem for path in records))
                self._known[owner, owner_id] = known
            found = dict(known)
        for name in [name for name, status in found.items() if status is None]:
            found[name] = self._read(TaskKey(owner, owner_id, name))
        return {
            name: status
            for name, status in found.items()
            if status is not None and not isinstance(status, NotStarted)
        }

    def launched(self, key: TaskKey) -> None:
        """Look at a task that was launched just now, and keep an eye on it.

        Args:
            key: The task.
        """
        with self._lock:
            self._known.setdefault((key.owner, key.owner_id), {})[key.name] = None
        if not isinstance(self._read(key), Running):
            self._notify(key.owner, key.owner_id)  # it was over before there was anything to watch

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
            self._watch.add(
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

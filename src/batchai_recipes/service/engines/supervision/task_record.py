"""The file in which the supervisor of a task records what becomes of the task.

One JSON object a line, each written in one piece and never changed:

``{"supervisor": ...}``
    The claim. That the file exists means that the task has been started and will never be started
    again.
``{"main": ...}``
    The task's main process.
``{"ended": ...}``
    How the task ended. Written last, when nothing of the task runs any more.

The supervisor holds the file locked as long as it lives; the kernel lets go of the lock however
that ends. The lines share one block of the disk, so the later two need no space that the first one
had not.
"""

import fcntl
import json
import os
from typing import Any, NamedTuple

from .processes import boot_id, read_all

SUFFIX = ".record"


class Reading(NamedTuple):
    """What a record says.

    Args:
        supervisor: The supervisor's ``process_identity``.
        main: That of the task's main process, once it is there.
        ended: How the task ended: ``reason``, ``exit_code``, ``ended_at`` (seconds since the epoch)
            and ``message``; None before.
        is_alive: Whether the supervisor still runs; after a restart of the machine it does not,
            whatever process has its id by then.
    """

    supervisor: dict[str, Any]
    main: dict[str, Any] | None
    ended: dict[str, Any] | None
    is_alive: bool


class TaskRecord:
    """The record of a task, as its supervisor keeps it.

    Args:
        descriptor: The open and locked file.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @classmethod
    def claim(cls, path: str, supervisor: dict[str, Any]) -> "TaskRecord | None":
        """Take a task, once and for all, unless somebody has.

        Args:
            path: The record; its folder is there.
            supervisor: Describes this process.

        Returns:
            The record, or None when another supervisor has the task or had it.

        Raises:
            OSError: The record cannot be written.
        """
        if os.path.exists(path):
            return None
        # It gets its name when it is locked and says whose it is: nobody ever sees half a claim.
        unnamed = f"{path}.{os.urandom(8).hex()}"
        # Closed only when claiming fails: the lock lasts as long as this process. The task's own
        # processes do not get it.
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        descriptor = os.open(unnamed, flags, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            made = cls(descriptor)
            made.add("supervisor", supervisor)
            os.link(unnamed, path)
        except FileExistsError:
            os.close(descriptor)
            return None
        except OSError:  # say, the disk is full; nothing has been run
            os.close(descriptor)
            raise
        finally:
            os.unlink(unnamed)
        return made

    def add(self, name: str, content: dict[str, Any]) -> None:
        """Write the next line.

        Args:
            name: ``main`` or ``ended``.
            content: What there is to say of it.

        Raises:
            OSError: The disk is full, or broken.
        """
        text = f"{json.dumps({name: content})}\n".encode()
        if os.write(self._descriptor, text) != len(text):
            raise OSError("The record was not written whole")

    def make_durable(self) -> None:
        """Get the claim onto the disk, so that the task does not run again after a power cut.

        Raises:
            OSError: The disk is full, or broken.
        """
        os.fsync(self._descriptor)


def read_record(path: str) -> Reading | None:
    """Read the record of a task.

    Args:
        path: The record.

    Returns:
        What it says, or None when no supervisor ever claimed the task.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        text = read_all(descriptor)
        is_alive = _is_locked(descriptor)
        # Read on after looking at the lock, so that no end can come between.
        text += read_all(descriptor)
    finally:
        os.close(descriptor)
    # A line without its end was cut off, as by a power cut.
    said: dict[str, Any] = {}
    for line in text.split(b"\n")[:-1]:
        said.update(_parsed(line))
    supervisor = said.get("supervisor", {})
    is_alive = is_alive and supervisor.get("boot_id") == boot_id()
    return Reading(supervisor, said.get("main"), said.get("ended"), is_alive)


def is_supervised(path: str) -> bool:
    """Tell whether the supervisor of a task lives.

    Args:
        path: The task's record.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return _is_locked(descriptor)
    finally:
        os.close(descriptor)


def _is_locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False


def _parsed(line: bytes) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}

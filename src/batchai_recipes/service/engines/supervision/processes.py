"""What the kernel tells of processes, and ending all that are below one."""

import contextlib
import ctypes
import functools
import os
import signal
import time
from collections.abc import Iterable, Iterator
from typing import Any

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
WATCHED_SIGNALS = (signal.SIGTERM, signal.SIGCHLD)
_SWEEP_SECONDS = 0.05


def wait_for_signal(deadline: float | None) -> int | None:
    """Wait for SIGTERM or SIGCHLD, which are blocked.

    Args:
        deadline: When to give up, in the seconds of :func:`time.monotonic`; None for never.

    Returns:
        The signal's number, or None when the deadline came first.
    """
    if deadline is None:
        return signal.sigwaitinfo(WATCHED_SIGNALS).si_signo
    remaining = max(deadline - time.monotonic(), 0)
    # The kernel takes no more than some 292 years; a month at a time is plenty.
    caught = signal.sigtimedwait(WATCHED_SIGNALS, min(remaining, 30 * 86400))
    return None if caught is None else caught.si_signo


def reap() -> tuple[dict[int, int], bool]:
    """Collect every child that has ended.

    Returns:
        Their wait statuses by id, and whether any child is left.
    """
    ended: dict[int, int] = {}
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return ended, False
        if pid == 0:
            return ended, True
        ended[pid] = status


def kill_all(pids: Iterable[int]) -> None:
    """Kill processes; those that are gone or another user's stay as they are."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)


def kill_descendants() -> None:
    """Kill every process below this one, detached ones included, and collect them.

    This process is a subreaper with :data:`WATCHED_SIGNALS` blocked: whatever detaches itself below
    it is its child as soon as its parent is gone. So without children there is nothing left.
    """
    while reap()[1]:
        kill_all(descendants(os.getpid()))
        # One that was orphaned just now is a child of this process in the next round.
        wait_for_signal(time.monotonic() + _SWEEP_SECONDS)


def children_of(pid: int) -> list[int]:
    """Find the processes whose parent is a process (of one thread).

    Args:
        pid: Its id.

    Returns:
        Their ids; empty when it is gone.

    Source:
        proc_pid_tid_children(5); where a kernel lacks it, from the fourth field of each process.
    """
    try:
        return [int(child) for child in read_file(f"/proc/{pid}/task/{pid}/children").split()]
    except OSError:
        return [other for other, fields in all_processes() if int(fields[1]) == pid]


def descendants(ancestor: int) -> list[int]:
    """Find the processes below a process.

    Args:
        ancestor: Its id.

    Returns:
        Their ids, in no special order; empty where there is no ``/proc``.
    """
    children: dict[int, list[int]] = {}
    for pid, fields in all_processes():
        children.setdefault(int(fields[1]), []).append(pid)
    found: list[int] = []
    pending = [ancestor]
    while pending:
        below = children.get(pending.pop(), [])
        found.extend(below)
        pending.extend(below)
    return found


def ancestors(pid: int) -> list[int]:
    """Find the processes above a process.

    Args:
        pid: Its id.

    Returns:
        Their ids, its parent first; empty when it is gone.
    """
    found: list[int] = []
    fields = stat_fields(pid)
    while fields is not None and (parent := int(fields[1])) > 0:
        found.append(parent)
        fields = stat_fields(parent)
    return found


def all_processes() -> Iterator[tuple[int, list[str]]]:
    """Go through the processes of this machine.

    Yields:
        The id and the :func:`stat_fields` of each.
    """
    try:
        names = os.listdir("/proc")
    except OSError:
        return
    for name in names:
        fields = stat_fields(int(name)) if name.isdigit() else None
        if fields is not None:
            yield int(name), fields


def stat_fields(pid: int) -> list[str] | None:
    """Read what the kernel says of a process.

    Args:
        pid: Its id.

    Returns:
        The fields of ``/proc/PID/stat`` from the third (the state) on, or None when it is gone.

    Source:
        proc_pid_stat(5): the second field may hold blanks and parentheses, so count from its end.
    """
    try:
        content = read_file(f"/proc/{pid}/stat")
    except OSError:
        return None
    return content.rpartition(b")")[2].decode().split()


def read_file(path: str) -> bytes:
    """Read a small file, touching as little memory as possible.

    What a forked process touches for the first time the kernel copies, so this is no place for
    text files and their codecs.

    Args:
        path: The file.

    Raises:
        OSError: It cannot be read.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return read_all(descriptor)
    finally:
        os.close(descriptor)


def read_all(descriptor: int) -> bytes:
    """Read up to the end.

    Args:
        descriptor: An open file, pipe or socket.
    """
    parts = []
    while part := os.read(descriptor, 1 << 16):
        parts.append(part)
    return b"".join(parts)


def process_identity(pid: int) -> dict[str, Any]:
    """Describe a process so that it is not mistaken for a later one with the same id.

    Args:
        pid: Its id.

    Returns:
        Its id, when it began (clock ticks since the boot) and the boot.
    """
    fields = stat_fields(pid)
    return {
        "pid": pid,
        "start_time": int(fields[19]) if fields else None,
        "boot_id": boot_id(),
    }


@functools.cache
def boot_id() -> str:
    """Return what tells this boot of the machine from others; empty where the kernel has none."""
    try:
        return read_file("/proc/sys/kernel/random/boot_id").decode().strip()
    except OSError:
        return ""


def prctl(option: int, value: int) -> None:
    """Set an option of this process where the system knows such options.

    Args:
        option: One of the kernel's ``PR_`` numbers.
        value: The option's argument.
    """
    if _c_library is not None:
        _c_library.prctl(option, value, 0, 0, 0)


def _load_c_library() -> ctypes.CDLL | None:
    try:
        library = ctypes.CDLL(None)
        library.prctl  # noqa: B018  # Linux alone has it
    except (OSError, AttributeError):
        return None
    return library


_c_library = _load_c_library()

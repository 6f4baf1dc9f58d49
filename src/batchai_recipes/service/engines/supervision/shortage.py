"""Noticing that the machine ran out of something."""

import os

from .processes import read_file

# Beyond that, the kernel kills a task before anything of the service or its supervisors.
_FIRST_TO_GO = b"500"
_ROOM_BYTES = 64 * 1024


def volunteer_for_memory_kill() -> None:
    """Let the kernel kill this process, and what it starts, first when memory runs out."""
    try:
        descriptor = os.open("/proc/self/oom_score_adj", os.O_WRONLY | os.O_CLOEXEC)
    except OSError:
        return
    try:
        os.write(descriptor, _FIRST_TO_GO)
    except OSError:
        pass  # it has a higher score already, which only root may lower
    finally:
        os.close(descriptor)


def machine_memory_kills() -> int:
    """Count the processes that the kernel killed for want of memory since the machine started.

    Source:
        ``oom_kill`` of ``/proc/vmstat``, since Linux 4.13.
    """
    try:
        counters = read_file("/proc/vmstat")
    except OSError:
        return 0
    _, found, rest = counters.partition(b"\noom_kill ")
    return int(rest.split(b"\n", 1)[0]) if found else 0


def is_full(folder: str) -> bool:
    """Tell whether next to nothing can be written to a folder any more.

    Args:
        folder: The folder.
    """
    try:
        disk = os.statvfs(folder)
    except OSError:
        return False
    blocks = disk.f_bfree if os.geteuid() == 0 else disk.f_bavail
    # A file system that knows no blocks or files, as some do, is never full.
    return bool(disk.f_blocks and blocks * disk.f_frsize < _ROOM_BYTES) or bool(
        disk.f_files and disk.f_ffree == 0
    )

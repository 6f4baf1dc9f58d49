"""Folders that a task can read but not write, whoever it runs as.

The process gets a view of the file system of its own, a mount namespace, in which the folders are
mounted over themselves read-only. Nothing of it is to be cleaned up: it goes with the processes
that see it, and is seen by nobody else.

Source:
    mount_namespaces(7), user_namespaces(7), mount(2); the numbers are those of the kernel's
    ``linux/sched.h`` and ``linux/mount.h``.
"""

import ctypes
import errno
import os
import signal

from .processes import PR_SET_PDEATHSIG, prctl, read_file

_CLONE_NEWNS = 0x00020000
_CLONE_NEWUSER = 0x10000000
_MS_RDONLY = 1
_MS_REMOUNT = 32
_MS_BIND = 4096
_MS_REC = 16384
_MS_PRIVATE = 1 << 18
# What a mount may already forbid stays forbidden: the flags of statvfs(3) and of mount(2).
_KEPT_FLAGS = ((2, 2), (4, 4), (8, 8), (1024, 1024), (2048, 2048), (4096, 1 << 21))


def forbid_writing(folders: list[str], writable: list[str]) -> None:
    """Let this process, and those it starts, find folders read-only.

    Args:
        folders: The folders, absolute and with links resolved.
        writable: Folders in them that stay writable, likewise.

    Raises:
        OSError: This machine does not permit it.
    """
    _enter_namespace()
    # Opened before, they lead to what is below the read-only mounts.
    opened = [(folder, os.open(folder, os.O_PATH | os.O_CLOEXEC)) for folder in writable]
    _mount("none", "/", _MS_REC | _MS_PRIVATE)
    for folder in folders:
        _mount(folder, folder, _MS_BIND | _MS_REC)
        for place in (folder, *_mounts_below(folder)):
            flags = os.statvfs(place).f_flag
            kept = sum(option for flag, option in _KEPT_FLAGS if flags & flag)
            _mount("none", place, _MS_REMOUNT | _MS_BIND | _MS_RDONLY | kept)
    for folder, descriptor in opened:
        _mount(f"/proc/self/fd/{descriptor}", folder, _MS_BIND | _MS_REC)
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # which entering a namespace may have cleared


def _enter_namespace() -> None:
    library = ctypes.CDLL(None, use_errno=True)
    if library.unshare(_CLONE_NEWNS) == 0:
        return
    user, group = os.geteuid(), os.getegid()
    if ctypes.get_errno() != errno.EPERM or library.unshare(_CLONE_NEWUSER | _CLONE_NEWNS) != 0:
        raise OSError(ctypes.get_errno(), "This machine permits no read-only view of a folder")
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{user} {user} 1"),
        ("gid_map", f"{group} {group} 1"),
    ):
        descriptor = os.open(f"/proc/self/{name}", os.O_WRONLY | os.O_CLOEXEC)
        os.write(descriptor, text.encode())
        os.close(descriptor)


def _mount(source: str, target: str, flags: int) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    options = ctypes.c_ulong(flags)
    if library.mount(os.fsencode(source), os.fsencode(target), None, options, None) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"It cannot be made read-only: {os.strerror(number)}", target)


def _mounts_below(folder: str) -> list[str]:
    prefix = folder.rstrip("/") + "/"
    lines = read_file("/proc/self/mountinfo").decode(errors="surrogateescape").splitlines()
    # Blanks and the like in paths are written as octal numbers.
    paths = [line.split(" ")[4].encode().decode("unicode_escape") for line in lines]
    return sorted({path for path in paths if path.startswith(prefix)})

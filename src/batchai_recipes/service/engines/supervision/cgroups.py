"""Control groups of Linux, version 2, where this user may make some.

A group holds all processes of a task whatever they do to get away, also when its supervisor has
been killed, and ends them in one stroke.

Source:
    The kernel's "Control Group v2", https://docs.kernel.org/admin-guide/cgroup-v2.html
"""

import contextlib
import os
import select
import time

from .processes import read_file

_PATIENCE_SECONDS = 2.0


class Cgroup:
    """A group of processes.

    Args:
        path: Its directory.
    """

    def __init__(self, path: str) -> None:
        self.path = path

    @classmethod
    def make(cls, path: str) -> "Cgroup | None":
        """Make a group.

        Args:
            path: Its directory, in that of another group.

        Returns:
            The group, or None where that is not permitted or the kernel (before 5.14) cannot kill
            it in one stroke.
        """
        try:
            _make_directory(path)
        except OSError:
            return None
        made = cls(path)
        if os.access(f"{path}/cgroup.kill", os.W_OK):
            return made
        made.remove()
        return None

    def enter(self) -> bool:
        """Move this process into the group.

        Returns:
            Whether that was permitted.
        """
        return self._write("cgroup.procs", b"0")

    def limit_memory(self, limit: int) -> bool:
        """Limit the memory of all processes of the group, and let the kernel kill them together.

        Args:
            limit: How much, in bytes.

        Returns:
            Whether the limit is in force.
        """
        self._write("memory.oom.group", b"1")
        self._write("memory.swap.max", b"0")
        return self._write("memory.max", b"%d" % limit)

    def lend_memory(self) -> None:
        """Let groups in this one have limits of their memory, as far as that is permitted."""
        for path in (os.path.dirname(self.path), self.path):
            Cgroup(path)._write("cgroup.subtree_control", b"+memory")  # noqa: SLF001  # its own

    def memory_kills(self) -> int:
        """Count the processes of the group that the kernel killed for want of memory."""
        try:
            events = read_file(f"{self.path}/memory.events").split()
            return int(events[events.index(b"oom_kill") + 1])
        except (OSError, ValueError):
            return 0

    def kill(self) -> None:
        """Kill every process of the group."""
        self._write("cgroup.kill", b"1")

    def end(self) -> None:
        """Kill what is left in the group, wait for its end and remove the group."""
        self._kill_and_wait()
        self.remove()

    def remove(self) -> None:
        """Remove the group and those that were made in it, unless something still runs there."""
        for folder, _, _ in os.walk(self.path, topdown=False):
            with contextlib.suppress(OSError):
                os.rmdir(folder)

    def _kill_and_wait(self) -> None:
        try:
            events = os.open(f"{self.path}/cgroup.events", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return  # there is no such group any more
        try:
            changes = select.poll()
            changes.register(events, select.POLLPRI)
            deadline = time.monotonic() + _PATIENCE_SECONDS
            while b"populated 1" in os.pread(events, 4096, 0):
                left = deadline - time.monotonic()
                if left <= 0:
                    return
                self.kill()
                changes.poll(1000 * left)  # until the kernel says that the group has changed
        except OSError:
            return
        finally:
            os.close(events)

    def _write(self, name: str, content: bytes) -> bool:
        try:
            descriptor = os.open(f"{self.path}/{name}", os.O_WRONLY | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            os.write(descriptor, content)
        except OSError:
            return False
        finally:
            os.close(descriptor)
        return True


def _make_directory(path: str) -> None:
    with contextlib.suppress(FileExistsError):
        try:
            os.mkdir(path)
        except FileNotFoundError:
            # The last task of a service that was killed has removed the group around it just now.
            os.mkdir(os.path.dirname(path))
            os.mkdir(path)


def own_directory(proc: str = "/proc/self") -> str | None:
    """Find the directory of the group that this process is in.

    Args:
        proc: The kernel's folder of this process.

    Returns:
        The directory, or None without a mounted hierarchy of version 2.
    """
    try:
        lines = read_file(f"{proc}/cgroup").decode().splitlines()
        mounts = read_file(f"{proc}/mountinfo").decode().splitlines()
    except (OSError, ValueError):
        return None
    own = next((line[3:] for line in lines if line.startswith("0::/")), None)
    for mount in mounts:
        fields, _, kind = mount.partition(" - ")
        if own is not None and kind.startswith("cgroup2 "):
            root, place = fields.split()[3:5]
            if own.startswith(root):
                return os.path.normpath(f"{place}/{own[len(root) :]}")
    return None

"""Linux's own news of what happens in directories; Python's standard library has no call for it."""

import contextlib
import ctypes
import errno
import os
import struct
import weakref
from collections.abc import Iterator
from typing import Final

from attrs import frozen

# From <linux/inotify.h>.
CREATED: Final = 0x0000_0100 | 0x0000_0080  # made here, or moved to here
REMOVED: Final = 0x0000_0200 | 0x0000_0040  # deleted, or moved away
LOST: Final = 0x0000_4000
"""More happened than the kernel keeps; it is told with no directory."""
ENDED: Final = 0x0000_8000
"""The watch has ended: the directory is gone, or its disk is."""

_ONLY_DIRECTORIES: Final = 0x0100_0000
_HEADER: Final = struct.Struct("iIII")
# Holds the news of many changes; each has a name of up to 255 bytes.
_BUFFER_BYTES: Final = 256 * 1024


@frozen
class News:
    """One thing that happened.

    Args:
        watch: The number of the directory's watch; -1 for :data:`LOST`.
        kinds: What happened, as bits.
        name: The name that it happened to.
    """

    watch: int
    kinds: int
    name: str


class Inotify:
    """Watches directories.

    News is there as soon as the call that made it has returned, in whichever process it was.

    Raises:
        OSError: The kernel gives no more of these to this user.
    """

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._descriptor = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._descriptor < 0:
            raise _error()
        weakref.finalize(self, os.close, self._descriptor)

    def watch(self, directory: int) -> int:
        """Begin to watch a directory.

        Args:
            directory: Its file descriptor.

        Returns:
            The watch's number, the same for the same directory.

        Raises:
            OSError: The kernel watches no more directories for this user.
        """
        path = f"/proc/self/fd/{directory}".encode()
        watch: int = self._libc.inotify_add_watch(
            self._descriptor, path, CREATED | REMOVED | _ONLY_DIRECTORIES
        )
        if watch < 0:
            raise _error()
        return watch

    def forget(self, watch: int) -> None:
        """Stop watching a directory.

        Args:
            watch: The watch's number.
        """
        self._libc.inotify_rm_watch(self._descriptor, watch)

    def news(self) -> Iterator[News]:
        """Tell what has happened since the last call.

        Yields:
            What happened, in its order.
        """
        while True:
            content = b""
            with contextlib.suppress(BlockingIOError):
                content = os.read(self._descriptor, _BUFFER_BYTES)
            if not content:
                return
            offset = 0
            while offset < len(content):
                watch, kinds, _, length = _HEADER.unpack_from(content, offset)
                offset += _HEADER.size
                name = content[offset : offset + length].rstrip(b"\0")
                offset += length
                yield News(watch, kinds, os.fsdecode(name))


def _error() -> OSError:
    number = ctypes.get_errno() or errno.EIO
    return OSError(number, os.strerror(number))

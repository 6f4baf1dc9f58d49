"""Which parts of a sparse file hold data, and how to make a part hold none again."""

import ctypes
import errno
import os
from collections.abc import Iterator
from typing import Final

from batchai_recipes.service.files.body import Content
from batchai_recipes.service.files.byte_range import ByteRange

# From <linux/falloc.h>; Python's `os` has no call for it.
_KEEP_SIZE: Final = 1
_PUNCH_HOLE: Final = 2
_BLOCK: Final = 4096
_ZEROS: Final = bytes(1 << 20)


def data_extents(descriptor: int, within: ByteRange) -> Iterator[ByteRange]:
    """Find the parts of a file that hold data.

    The disk keeps data in blocks, 4096 bytes as a rule, so a part may be larger than what was
    written. A disk that knows no holes reports all as data.

    Args:
        descriptor: The open file.
        within: Where to look.

    Yields:
        The parts, in order.
    """
    position = within.start
    while position <= within.end:
        try:
            start = os.lseek(descriptor, position, os.SEEK_DATA)
            end = os.lseek(descriptor, start, os.SEEK_HOLE)
        except OSError as error:
            if error.errno == errno.ENXIO:  # no data from here on
                return
            raise
        if start > within.end:
            return
        yield ByteRange(start, min(end - 1, within.end))
        position = end


def changed_extents(
    old: int, new: int, within: ByteRange
) -> tuple[list[ByteRange], list[ByteRange]]:
    """Find the parts of a file that differ from an older state of it.

    Args:
        old: The descriptor of the older state.
        new: The descriptor of the file.
        within: Where to look, in the file.

    Returns:
        The parts that hold other data, and those that hold zeros where there was data, each in
        order and in blocks of 4096 bytes.
    """
    changed: list[ByteRange] = []
    cleared: list[ByteRange] = []
    first = within.start // _BLOCK * _BLOCK
    # Where neither holds data, both read as zeros.
    area = ByteRange(first, within.end)
    candidates = sorted([*data_extents(old, area), *data_extents(new, area)], key=_start)
    position = first
    for extent in candidates:
        position = max(position, extent.start // _BLOCK * _BLOCK)
        while position <= extent.end:
            length = min(_BLOCK, within.end + 1 - position)
            before, after = os.pread(old, length, position), os.pread(new, length, position)
            if before.ljust(length, b"\0") != after.ljust(length, b"\0"):
                block = ByteRange(max(position, within.start), position + length - 1)
                _append(cleared if not after.strip(b"\0") else changed, block)
            position += _BLOCK
    return changed, cleared


def _start(extent: ByteRange) -> int:
    return extent.start


def _append(extents: list[ByteRange], block: ByteRange) -> None:
    if extents and extents[-1].end + 1 == block.start:
        extents[-1] = ByteRange(extents[-1].start, block.end)
    else:
        extents.append(block)


def clear_extent(descriptor: int, extent: ByteRange) -> None:
    """Make a part of a file read as zeros and, where the disk can, take no room.

    Args:
        descriptor: The open file, writable.
        extent: The part, within the file.

    Raises:
        OSError: The disk refuses.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    punched = libc.fallocate(
        ctypes.c_int(descriptor),
        ctypes.c_int(_PUNCH_HOLE | _KEEP_SIZE),
        ctypes.c_longlong(extent.start),
        ctypes.c_longlong(extent.length),
    )
    if punched == 0:
        return
    number = ctypes.get_errno()
    if number not in {errno.EOPNOTSUPP, errno.ENOSYS}:
        raise OSError(number, os.strerror(number))
    zero_extent(descriptor, extent)


def zero_extent(descriptor: int, extent: ByteRange) -> None:
    """Write zeros over what holds data in a part of a file: for a disk that makes no holes.

    What is a hole already stays one, so that clearing a large sparse file does not fill the disk.

    Args:
        descriptor: The open file, writable.
        extent: The part, within the file.

    Raises:
        OSError: The disk refuses.
    """
    for part in list(data_extents(descriptor, extent)):
        for offset in range(part.start, part.end + 1, len(_ZEROS)):
            length = min(len(_ZEROS), part.end + 1 - offset)
            write_all(descriptor, _ZEROS[:length], offset)


def write_all(descriptor: int, data: Content, offset: int) -> None:
    """Write all of some bytes to a file.

    Nothing is flushed to the disk itself: what the page cache holds outlives the service process,
    a kill included, and flushing each range would make uploads many times slower. A power cut may
    take what was written in the last seconds, as it may of what jobs write.

    Args:
        descriptor: The open file, writable.
        data: The bytes.
        offset: Where in the file, in bytes.

    Raises:
        OSError: The disk refuses.
    """
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view, offset)
        view = view[written:]
        offset += written

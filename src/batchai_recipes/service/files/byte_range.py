"""Byte ranges as headers write them, and the part of a file that they mean."""

import re
from typing import Final

from attrs import frozen

from batchai_recipes.service.files.errors import ErrorCode, FileServiceError

# 19 digits hold every offset of a file; more would only make Python count long.
_RANGE = re.compile(r"bytes=(?P<start>[0-9]{0,19})-(?P<end>[0-9]{0,19})")
# How much one request writes, and how much is summed up at once.
MAXIMUM_LENGTH: Final = 4 * 2**20


@frozen
class ByteRange:
    """A part of a file.

    Args:
        start: Its first byte, counted from 0.
        end: Its last byte.
    """

    start: int
    end: int

    @property
    def length(self) -> int:
        """How many bytes it has."""
        return self.end - self.start + 1


@frozen
class RangeRequest:
    """A range as a client asked for it, before the size of the file is known.

    Args:
        start: The first byte; None for the last `end` bytes of the file.
        end: The last byte; None for the end of the file.
    """

    start: int | None
    end: int | None

    @classmethod
    def parse(cls, text: str) -> "RangeRequest | None":
        """Read the value of a header ``x-ms-range`` or ``Range``.

        Args:
            text: ``bytes=START-END``, ``bytes=START-`` or ``bytes=-LENGTH``.

        Returns:
            The range, or None where the text is no single range.

        Example:
            >>> RangeRequest.parse("bytes=0-511")
            RangeRequest(start=0, end=511)
            >>> RangeRequest.parse("bytes=9-3") is None
            True
        """
        match = _RANGE.fullmatch(text.strip())
        if match is None or not (match["start"] or match["end"]):
            return None
        start = int(match["start"]) if match["start"] else None
        end = int(match["end"]) if match["end"] else None
        if start is not None and end is not None and start > end:
            return None
        return cls(start, end)

    def of_size(self, size: int) -> ByteRange:
        """Return the part of a file that is meant.

        Args:
            size: The file's size in bytes.

        Raises:
            FileServiceError: The range starts at or after the end of the file.

        Example:
            >>> RangeRequest.parse("bytes=6-99").of_size(10)
            ByteRange(start=6, end=9)
        """
        if self.start is None:
            start = max(0, size - (self.end or 0))
            end = size - 1
        else:
            start = self.start
            end = size - 1 if self.end is None else min(self.end, size - 1)
        if start >= size:
            raise outside(size)
        return ByteRange(start, end)


def outside(size: int) -> FileServiceError:
    """Return the refusal of a range that does not lie in a file.

    Args:
        size: The file's size in bytes.
    """
    return FileServiceError(
        ErrorCode.INVALID_RANGE,
        f"The range does not lie within the file, which has {size} bytes now.",
        headers={"Content-Range": f"bytes */{size}"},
    )

"""A file that a job wrote as a file object: read by ranges, seekable, nothing downloaded first."""

import io
from collections.abc import Callable
from typing import Final

from batchai_recipes.errors import RequestError
from batchai_recipes.runs.range_reader import PIECE_BYTES, Piece, RangeReader

BUFFER_BYTES: Final = 1 << 20
"""How much is read ahead where a caller reads little at a time."""

_TRIES: Final = 3


class OutputReader(io.RawIOBase):
    """Reads one file of an output directory as it was when it was opened.

    What a job appends meanwhile is not seen; a file that was written anew meanwhile is an error.

    Args:
        reader: Reads the parts.
        name: What to call the file in messages.
        link: Asks for the file's link and its size in bytes.

    Raises:
        RequestError: The file cannot be asked for.
    """

    def __init__(self, reader: RangeReader, name: str, link: Callable[[], tuple[str, int]]) -> None:
        super().__init__()
        self._reader = reader
        self.name = name
        self._link = link
        self._url, self._size = link()
        self._position = 0
        self._etag: str | None = None

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the place of the next byte."""
        self._check_open()
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to another place.

        Args:
            offset: How far, in bytes.
            whence: From where: ``io.SEEK_SET``, ``io.SEEK_CUR`` or ``io.SEEK_END``.

        Returns:
            The new place, from the file's start.

        Raises:
            ValueError: The place is before the file's start, or `whence` is another number.
        """
        self._check_open()
        bases = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}
        if whence not in bases:
            raise ValueError(f"invalid whence ({whence}, should be 0, 1 or 2)")
        place = bases[whence] + offset
        if place < 0:
            raise ValueError(f"negative seek position {place}")
        self._position = place
        return place

    def readinto(self, buffer: memoryview | bytearray, /) -> int:  # type: ignore[override]
        """Read into a buffer.

        Returns:
            How many bytes; 0 at the file's end.

        Raises:
            RequestError: The service did not answer, or the file is gone or was written anew.
        """
        self._check_open()
        view = memoryview(buffer).cast("B")
        wanted = min(len(view), self._size - self._position)
        if wanted <= 0:
            return 0
        content = self._read(wanted)
        view[: len(content)] = content
        self._position += len(content)
        return len(content)

    def readall(self) -> bytes:
        """Read what is left."""
        self._check_open()
        content = bytearray()
        while (wanted := min(self._size - self._position, PIECE_BYTES)) > 0:
            piece = self._read(wanted)
            content += piece
            self._position += len(piece)
        return bytes(content)

    def _read(self, wanted: int) -> bytes:
        for _ in range(_TRIES):
            piece = self._reader.read(self._url, self._position, wanted)
            if piece is None:
                self._url, _ = self._link()  # it ran out: ask for a new one
                continue
            self._check_same(piece)
            if piece.content:
                return piece.content
        raise RequestError(f"Failed to read {self.name}: the file service refuses each new link")

    def _check_same(self, piece: Piece) -> None:
        """Refuse what is not of the file that was opened; one that grew may be the same."""
        known, self._etag = self._etag, piece.etag
        if piece.size is None:
            return
        changed = known is not None and piece.etag is not None and piece.etag != known
        if piece.size < self._size or (changed and piece.size == self._size):
            raise RequestError(
                f"Failed to read {self.name}: it was written anew meanwhile; open it again"
            )

    def _check_open(self) -> None:
        if self.closed:
            raise ValueError("I/O operation on closed file.")


def last_lines(file: io.BufferedIOBase, count: int, *, block: int = 64 * 1024) -> bytes:
    r"""Return the last lines of a seekable file, reading no more than a block too much.

    Args:
        file: The file, binary.
        count: How many lines; one without an end counts.
        block: How many bytes to read at a time.

    Example:
        >>> last_lines(io.BytesIO(b"one\ntwo\nthree\n"), 2)
        b'two\nthree\n'
    """
    place = file.seek(0, io.SEEK_END)
    blocks: list[bytes] = []
    # The end of the last line belongs to it, so one more end is looked for than there are lines.
    ends = 0
    while place > 0 and ends <= count:
        start = max(0, place - block)
        file.seek(start)
        blocks.append(file.read(place - start))
        ends += blocks[-1].count(b"\n")
        place = start
    content = b"".join(reversed(blocks))
    # Not `splitlines`: a carriage return alone, as of a progress bar, ends no line.
    *lines, last = content.split(b"\n")
    ended = [line + b"\n" for line in lines] + ([last] if last else [])
    return b"".join(ended[-count:]) if count else b""

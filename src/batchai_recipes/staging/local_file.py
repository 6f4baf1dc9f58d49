"""A local file that is being read, and whether it stayed the same meanwhile."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

from attrs import frozen

from batchai_recipes.errors import StagingError

_CHUNK: Final = 1 << 20


@frozen
class LocalFile:
    """A local file, open.

    Args:
        path: Where it is.
        stream: Its content, unbuffered.
        size: Its size in bytes when it was opened.
        state: What tells one state of it from another.
    """

    path: Path
    stream: BinaryIO
    size: int
    state: tuple[int, int, int]

    def read(self, size: int) -> bytes:
        """Read the next bytes: as many as asked for, but at the file's end.

        Args:
            size: How many.
        """
        parts = []
        while size and (part := self.stream.read(size)):
            parts.append(part)
            size -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def rewind(self) -> None:
        """Go back to the beginning."""
        self.stream.seek(0)

    def sha256(self) -> str:
        """Read the whole file and return its hash, in hexadecimal digits."""
        self.stream.seek(0)
        digest = hashlib.sha256()
        while chunk := self.stream.read(_CHUNK):
            digest.update(chunk)
        self.stream.seek(0)
        return digest.hexdigest()

    def check_unchanged(self) -> None:
        """Check that the file is still what it was when it was opened.

        Raises:
            StagingError: It was written to, replaced or deleted.
        """
        try:
            same = _state(os.stat(self.path)) == self.state  # noqa: PTH116 - as fstat's result
        except OSError:
            same = False
        if not same:
            raise StagingError(
                f"{self.path} changed while it was being uploaded: let what writes it finish, "
                f"then stage it again"
            )


@contextmanager
def opened(path: Path) -> Iterator[LocalFile]:
    """Open a local file.

    Args:
        path: Where it is.

    Raises:
        StagingError: It cannot be read.
    """
    try:
        with path.open("rb", buffering=0) as stream:
            status = os.fstat(stream.fileno())
            yield LocalFile(path, stream, status.st_size, _state(status))
    except OSError as error:
        raise StagingError(f"Cannot upload {path}: {error.strerror or error}") from error


def _state(status: os.stat_result) -> tuple[int, int, int]:
    return (status.st_ino, status.st_size, status.st_mtime_ns)

"""Files of shares by the hash of their content, kept on a machine between jobs."""

import contextlib
import hashlib
import os
import shutil
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

_PIECE_BYTES: Final = 1 << 20


class ContentError(Exception):
    """A file came with another content than it was said to have."""


class ContentCache:
    """A bounded folder of files that are named by the SHA-256 of their content.

    Args:
        folder: The folder; made when missing. Several nodes of a machine may share it.
        most_bytes: How much it may hold; what was used least recently goes first.

    Example:
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     cache = ContentCache(Path(folder) / "cache", most_bytes=100)
        ...     digest = hashlib.sha256(b"text").hexdigest()
        ...     place = Path(folder) / "copy"
        ...     cache.copy(digest, place, lambda path: path.write_bytes(b"text"))
        ...     cache.copy(digest, place, lambda path: 1 / 0)  # it is at hand by now
        ...     place.read_bytes()
        b'text'
    """

    def __init__(self, folder: Path, most_bytes: int) -> None:
        self._folder = folder
        self._most_bytes = most_bytes
        self._lock = threading.Lock()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def copy(self, digest: str, place: Path, fetch: Callable[[Path], object]) -> None:
        """Make a copy of a file, fetched only where it is not at hand.

        Args:
            digest: The SHA-256 of its content, in hexadecimal digits.
            place: Where the copy shall be; what is there is replaced.
            fetch: Writes the file to a path.

        Raises:
            ContentError: What was fetched has another hash.
            OSError: It cannot be written.
        """
        kept = self._folder / digest
        descriptor, name = tempfile.mkstemp(dir=place.parent, prefix=".incoming-")
        os.close(descriptor)
        new = Path(name)
        try:
            try:
                shutil.copyfile(kept, new)
                with contextlib.suppress(OSError):
                    os.utime(kept)  # it was used
            except FileNotFoundError:
                fetch(new)
                if digest_of_file(new) != digest:
                    raise ContentError(digest) from None
                self._keep(new, kept)
            new.replace(place)
        except BaseException:
            new.unlink(missing_ok=True)
            raise

    def _keep(self, new: Path, kept: Path) -> None:
        size = new.stat().st_size
        if size > self._most_bytes:
            return
        with self._lock:
            self._make_room(size)
            beside = kept.with_suffix(f".{os.getpid()}")
            shutil.copyfile(new, beside)
            beside.replace(kept)

    def _make_room(self, size: int) -> None:
        found = []
        for entry in os.scandir(self._folder):
            with contextlib.suppress(FileNotFoundError):
                about = entry.stat()
                found.append((about.st_mtime_ns, about.st_size, entry.path))
        held = sum(each for _, each, _ in found)
        for _, each, path in sorted(found):
            if held + size <= self._most_bytes:
                return
            Path(path).unlink(missing_ok=True)
            held -= each


def digest_of_file(path: Path) -> str:
    """Return the SHA-256 of a file's content, in hexadecimal digits.

    Args:
        path: The file.

    Raises:
        OSError: It cannot be read.
    """
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_PIECE_BYTES):
            digest.update(piece)
    return digest.hexdigest()

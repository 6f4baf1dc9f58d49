"""Shares on the service's machine, as the driver reads them for nodes and writes to them."""

import logging
import os
import shutil
import stat
from pathlib import Path, PurePosixPath
from typing import Final

from batchai_recipes.service.engines.ray.content_cache import digest_of_file
from batchai_recipes.service.engines.ray.share_copies import (
    Change,
    FileState,
    MadeFolder,
    Piece,
    ShareState,
)

_STAMP = tuple[int, int, int]
_FOLDER_MODE: Final = 0o777

_logger = logging.getLogger(__name__)


class ServiceShares:
    """Knows what is in shares, hashes included, and takes in what nodes have written.

    Args:
        root: The folder of all shares; nothing outside is ever written to.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._hashes: dict[str, tuple[_STAMP, str]] = {}

    def state(self, share: str) -> ShareState:
        """Look at a share.

        Args:
            share: Its folder.
        """
        files: dict[str, FileState] = {}
        folders: list[str] = []
        for at, names, file_names in os.walk(share):
            names.sort()
            below = PurePosixPath(at).relative_to(share)
            folders += [str(below / name) for name in names if not Path(at, name).is_symlink()]
            for name in file_names:
                found = self._file(f"{at}/{name}")
                if found is not None:
                    files[str(below / name)] = found
        return ShareState(files, tuple(folders))

    def take_in(self, change: Change) -> None:
        """Do to a share what was done to its copy; what cannot be done is in the driver's log.

        Args:
            change: What was done.
        """
        place = self._place(change)
        if place is None:
            return
        try:
            if isinstance(change, MadeFolder):
                place.mkdir(_FOLDER_MODE, parents=True, exist_ok=True)
            elif isinstance(change, Piece):
                _write(place, change)
            elif change.origin is None or self._file(str(place)) == change.origin:
                place.unlink(missing_ok=True)
        except OSError as error:
            _logger.warning("%s cannot be taken in from a node: %s", place, error)

    def _place(self, change: Change) -> Path | None:
        path = PurePosixPath(change.path)
        share = Path(change.share)
        place = share / path
        outside = path.is_absolute() or ".." in path.parts
        if (
            outside
            or not share.is_dir()  # it was deleted meanwhile
            or not place.parent.resolve().is_relative_to(self._root.resolve())
            or place.is_symlink()
        ):
            _logger.warning("%s of %s is not taken in from a node", change.path, change.share)
            return None
        return place

    def _file(self, path: str) -> FileState | None:
        try:
            found = Path(path).lstat()
            if not stat.S_ISREG(found.st_mode):
                return None
            stamp = (found.st_size, found.st_mtime_ns, found.st_ino)
            known = self._hashes.get(path)
            if known is None or known[0] != stamp:
                known = self._hashes[path] = (stamp, digest_of_file(Path(path)))
        except OSError:
            return None  # it is gone, or cannot be read
        return FileState(found.st_size, found.st_mtime_ns, found.st_mode & 0o777, known[1])


def _write(place: Path, piece: Piece) -> None:
    place.parent.mkdir(_FOLDER_MODE, parents=True, exist_ok=True)
    if place.is_dir():
        shutil.rmtree(place)
    flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    if piece.offset == 0:
        flags |= os.O_TRUNC
    descriptor = os.open(place, flags, piece.mode)
    try:
        written = 0
        while written < len(piece.data):
            written += os.pwrite(descriptor, piece.data[written:], piece.offset + written)
    finally:
        os.close(descriptor)

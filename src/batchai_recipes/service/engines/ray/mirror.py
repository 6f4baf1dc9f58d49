"""A copy of a share on a node, brought up to date before a task, and back while it runs."""

import contextlib
import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from attrs import define

from batchai_recipes.service.engines.ray.content_cache import ContentCache, ContentError
from batchai_recipes.service.engines.ray.fetching import Fetching
from batchai_recipes.service.engines.ray.share_copies import (
    Change,
    FileState,
    MadeFolder,
    Piece,
    RemovedFile,
    ShareSource,
    ShareState,
)

_PIECE_BYTES: Final = 1 << 20
_ATTEMPTS: Final = 3

Stamp = tuple[int, int, int]
"""The size, time of writing and inode of a file."""


@define
class _Known:
    """A file as it was when it was last copied, one way or the other.

    Args:
        stamp: Its stamp, then.
        origin: What the service said of it, if it came from there.
        sent: How much of it the service has.
        digest: Hashes what the service has; None where that is not known.
        verified: Whether that is known to be how the file is, and not only how it begins.
    """

    stamp: Stamp
    origin: FileState | None = None
    sent: int = 0
    digest: Any = None
    verified: bool = False


_NEVER: Final[Stamp] = (-1, 0, 0)


class Mirror:
    """A copy of one share.

    Args:
        folder: Where it is.
        share: The share's folder on the service's machine, which names it.
        cache: Where contents are kept between jobs.
        fetching: Gets what is not there.
    """

    def __init__(self, folder: Path, share: str, cache: ContentCache, fetching: Fetching) -> None:
        self._folder = folder
        self._cache = cache
        self._fetching = fetching
        self._known: dict[str, _Known] = {}
        self._folders: set[str] = set()
        self._share = share
        folder.mkdir(parents=True, exist_ok=True)

    def bring_up_to_date(self, source: ShareSource, state: ShareState) -> None:
        """Copy in what has changed at the service, except for what has changed here, too.

        Args:
            source: The share.
            state: What is in it.

        Raises:
            FetchError: A file cannot be had.
            OSError: It cannot be written.
        """
        for path in state.folders:
            (self._folder / path).mkdir(parents=True, exist_ok=True)
            self._folders.add(path)
        for path in [path for path in self._known if path not in state.files]:
            if self._known[path].origin is not None and not self._has_changed(path):
                (self._folder / path).unlink(missing_ok=True)
                del self._known[path]
        due = [(path, found) for path, found in state.files.items() if self._is_due(path, found)]
        for _ in self._fetching.files.map(lambda one: self._copy_in(source, *one), due):
            pass

    def changes(self, *, final: bool) -> Iterator[Change]:
        """Find what has been written here since this was asked last.

        What has been yielded counts as copied.

        Args:
            final: Whether to look again at what was sent while it was written: of a file that
                grows, only what comes is sent meanwhile.
        """
        here: set[str] = set()
        for at, names, file_names in os.walk(self._folder):
            below = os.path.relpath(at, self._folder)
            prefix = "" if below == "." else f"{below}/"
            for name in names:
                path = f"{prefix}{name}"
                if path not in self._folders and not Path(at, name).is_symlink():
                    self._folders.add(path)
                    yield MadeFolder(self._share, path)
            for name in file_names:
                path = f"{prefix}{name}"
                here.add(path)
                if not name.startswith(".incoming-"):
                    yield from self._changes_of(path, final=final)
        if final:
            for path in [path for path in self._known if path not in here]:
                yield RemovedFile(self._share, path, self._known.pop(path).origin)

    def begin_anew(self) -> None:
        """Forget what was sent: whoever was told may not have lived to write it down."""
        for known in self._known.values():
            if known.origin is None:
                known.stamp, known.sent, known.digest, known.verified = _NEVER, 0, None, False
        self._folders.clear()

    def _is_due(self, path: str, found: FileState) -> bool:
        known = self._known.get(path)
        if known is None:
            return not (self._folder / path).exists()
        if known.origin == found or self._has_changed(path):
            return False
        if known.origin is None and known.digest is not None:
            is_own = known.sent == found.size and known.digest.hexdigest() == found.sha256
            if is_own:
                known.origin = found
            return not is_own
        return True

    def _has_changed(self, path: str) -> bool:
        return self._known[path].stamp != _stamp(self._folder / path)

    def _copy_in(self, source: ShareSource, path: str, found: FileState) -> None:
        place = self._folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                self._cache.copy(
                    found.sha256,
                    place,
                    lambda new: self._fetching.fetch(source, path, found.size, new),
                )
                break
            except ContentError:  # it is being written
                if attempt == _ATTEMPTS:
                    self._fetching.fetch(source, path, found.size, _touched(place))
        place.chmod(found.mode | stat.S_IRUSR | stat.S_IWUSR)
        os.utime(place, ns=(found.modified_ns, found.modified_ns))
        stamp = _stamp(place)
        if stamp is not None:
            self._known[path] = _Known(stamp, found, found.size, verified=True)

    def _changes_of(self, path: str, *, final: bool) -> Iterator[Change]:
        place = self._folder / path
        stamp = _stamp(place)
        known = self._known.get(path)
        if stamp is None or (
            known is not None and known.stamp == stamp and (known.verified or not final)
        ):
            return
        if known is None:
            known = self._known[path] = _Known(_NEVER)
        with contextlib.suppress(OSError), place.open("rb") as file:
            anew = _begins_anew(known, stamp, file, final=final)
            if anew:
                known.sent, known.digest = 0, hashlib.sha256()
            elif known.digest is None:
                known.digest = _digest_of(file, known.sent)
            # Also for whoever goes on with this file later, should this not come to its end.
            known.stamp, known.origin, known.verified = (-1, 0, stamp[2]), None, False
            file.seek(known.sent)
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            while (data := file.read(_PIECE_BYTES)) or anew:
                anew = False
                piece = Piece(self._share, path, known.sent, data, mode)
                known.digest.update(data)
                known.sent += len(data)
                yield piece
            known.stamp, known.verified = stamp, final


def _begins_anew(known: _Known, stamp: Stamp, file: Any, *, final: bool) -> bool:
    """Tell whether what the service has is not how the file begins."""
    if known.sent == 0 or stamp[0] < known.sent or known.stamp[2] not in {stamp[2], 0}:
        return True
    if known.origin is not None:
        changed: bool = _digest_of(file, known.sent).hexdigest() != known.origin.sha256
        return changed
    if not final:
        return False
    here, there = _digest_of(file, known.sent), known.digest
    return there is None or bool(here.digest() != there.digest())


def _digest_of(file: Any, size: int) -> Any:
    digest = hashlib.sha256()
    file.seek(0)
    while size > 0 and (data := file.read(min(_PIECE_BYTES, size))):
        digest.update(data)
        size -= len(data)
    return digest


def _stamp(path: Path) -> Stamp | None:
    try:
        found = path.lstat()
    except OSError:
        return None
    if not stat.S_ISREG(found.st_mode):
        return None
    return found.st_size, found.st_mtime_ns, found.st_ino


def _touched(place: Path) -> Path:
    place.touch()
    return place

"""Finding names in directories without regard to case, fast in large ones too.

A disk tells at once whether it has a name, but not whether it has one that differs in case only:
that takes a look at every name. Of a large directory the names are therefore kept, folded, and kept
up to date by the kernel's news of what clients and jobs do in it.
"""

import logging
import os
import threading
from collections import OrderedDict
from collections.abc import Iterable
from typing import Final

from attrs import define, field

from batchai_recipes.service.files.inotify import CREATED, ENDED, LOST, REMOVED, Inotify
from batchai_recipes.service.files.paths import fold

# Looking through so few names takes less than keeping them.
_SMALL: Final = 64
_DIRECTORIES_KEPT: Final = 128
_NAMES_KEPT: Final = 2_000_000

_logger = logging.getLogger(__name__)


@define
class _Names:
    """The names of one directory, by their folded form."""

    watch: int
    count: int = 0
    by_folded: dict[str, list[str]] = field(factory=dict)

    def add(self, name: str) -> None:
        alike = self.by_folded.setdefault(fold(name), [])
        if name not in alike:
            alike.append(name)
            self.count += 1

    def remove(self, name: str) -> None:
        folded = fold(name)
        alike = self.by_folded.get(folded, [])
        if name in alike:
            alike.remove(name)
            self.count -= 1
            if not alike:
                del self.by_folded[folded]


class NameIndex:
    """The names of the large directories that are in use.

    Args:
        small: Of a directory with so many names or fewer, none is kept.
        directories_kept: Of how many directories the names are kept.
        names_kept: How many names are kept in all.

    Example:
        >>> import tempfile, pathlib
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = pathlib.Path(folder, "Train.txt").write_text("")
        ...     directory = os.open(folder, os.O_RDONLY)
        ...     index = NameIndex(small=0)
        ...     found = index.alike(directory, "TRAIN.TXT"), index.alike(directory, "test.txt")
        ...     os.close(directory)
        >>> found
        (['Train.txt'], [])
    """

    def __init__(
        self,
        *,
        small: int = _SMALL,
        directories_kept: int = _DIRECTORIES_KEPT,
        names_kept: int = _NAMES_KEPT,
    ) -> None:
        self._small = small
        self._directories_kept = directories_kept
        self._names_kept = names_kept
        self._lock = threading.Lock()
        self._inotify: Inotify | None = None
        self._has_failed = False
        # The one used last stands last.
        self._kept: OrderedDict[tuple[int, int], _Names] = OrderedDict()
        self._keys: dict[int, tuple[int, int]] = {}

    def alike(self, directory: int, name: str) -> list[str]:
        """Find the names of a directory that differ from a name in case at most.

        Args:
            directory: The directory's file descriptor.
            name: The name.

        Returns:
            The names as they are on disk, sorted.
        """
        status = os.fstat(directory)
        key = status.st_dev, status.st_ino
        with self._lock:
            self._hear()
            kept = self._kept.get(key)
            if kept is not None:
                self._kept.move_to_end(key)
                return sorted(kept.by_folded.get(fold(name), ()))
        names = os.listdir(directory)
        if len(names) > self._small:
            with self._lock:
                kept = self._keep(key, directory)
                if kept is not None:
                    return sorted(kept.by_folded.get(fold(name), ()))
        return _alike(names, name)

    def _keep(self, key: tuple[int, int], directory: int) -> _Names | None:
        self._hear()
        if key in self._kept:  # another thread was quicker
            return self._kept[key]
        try:
            self._inotify = self._inotify or Inotify()
            watch = self._inotify.watch(directory)
        except OSError as error:
            if not self._has_failed:
                _logger.warning(
                    "Large directories are looked through for each new name, since the kernel "
                    "watches no more of them (see fs.inotify in sysctl): %s",
                    error,
                )
            self._has_failed = True
            return None
        kept = _Names(watch)
        self._kept[key] = kept
        self._keys[watch] = key
        # What happens from here on is news, so the names are read after the watch has begun.
        for name in os.listdir(directory):
            kept.add(name)
        while len(self._kept) > self._directories_kept or (
            len(self._kept) > 1
            and sum(each.count for each in self._kept.values()) > self._names_kept
        ):
            self._forget(next(iter(self._kept)))
        return kept

    def _hear(self) -> None:
        if self._inotify is None:
            return
        for news in self._inotify.news():
            if news.kinds & LOST:
                for key in list(self._kept):
                    self._forget(key)
                continue
            known = self._keys.get(news.watch)
            if known is None:
                continue
            if news.kinds & ENDED:
                del self._kept[known], self._keys[news.watch]
            elif news.kinds & CREATED:
                self._kept[known].add(news.name)
            elif news.kinds & REMOVED:
                self._kept[known].remove(news.name)

    def _forget(self, key: tuple[int, int]) -> None:
        watch = self._kept.pop(key).watch
        del self._keys[watch]
        if self._inotify is not None:
            self._inotify.forget(watch)


def _alike(names: Iterable[str], name: str) -> list[str]:
    folded = fold(name)
    # Folding keeps the length, so most names are ruled out without folding them.
    return sorted(other for other in names if len(other) == len(name) and fold(other) == folded)

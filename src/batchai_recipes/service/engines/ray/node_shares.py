"""The copies of all shares that a node mounts and does not see."""

import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from attrs import evolve

from batchai_recipes.service.engines.engine import Mount
from batchai_recipes.service.engines.ray.content_cache import ContentCache
from batchai_recipes.service.engines.ray.fetching import Fetching
from batchai_recipes.service.engines.ray.mirror import Mirror
from batchai_recipes.service.engines.ray.share_copies import (
    Change,
    Piece,
    ShareSource,
    ShareState,
)

_MOST_BYTES: Final = 8 << 20


class NodeShares:
    """Copies shares in and back.

    Args:
        folder: Where the copies are.
        cache: Where contents are kept between jobs.
    """

    def __init__(self, folder: Path, cache: ContentCache) -> None:
        self._folder = folder
        self._cache = cache
        self._fetching = Fetching()
        self._lock = threading.Lock()
        self._mirrors: dict[str, Mirror] = {}
        self._sources: dict[str, ShareSource] = {}

    def __bool__(self) -> bool:
        return bool(self._mirrors)

    @property
    def names(self) -> tuple[str, ...]:
        """The folders of the shares on the service's machine."""
        return tuple(self._mirrors)

    def mount(self, mounts: Iterable[Mount], sources: Iterable[ShareSource]) -> tuple[Mount, ...]:
        """Have shares copied, and mount the copies in their place.

        Args:
            mounts: The volumes.
            sources: Where to get those that are shares.

        Returns:
            The volumes, with copies for shares.

        Raises:
            FetchError: A share cannot be reached.
            OSError: A copy cannot be made.
        """
        known = {source.folder: source for source in sources}
        mounted = []
        for mount in mounts:
            source = known.get(str(mount.source))
            mounted.append(mount if source is None else evolve(mount, source=self._copy_of(source)))
        return tuple(mounted)

    def bring_up_to_date(self, states: Mapping[str, ShareState]) -> None:
        """Copy in what has changed at the service.

        Args:
            states: What is in each share, by its folder.

        Raises:
            FetchError: A file cannot be had.
            OSError: It cannot be written.
        """
        with self._lock:
            for share, state in states.items():
                if share in self._mirrors:
                    self._mirrors[share].bring_up_to_date(self._sources[share], state)

    def changes(self, *, final: bool) -> tuple[tuple[Change, ...], bool]:
        """Find what was written here, as much of it as is sent at a time.

        Args:
            final: Whether to look again at what was sent while it was written.

        Returns:
            What was written, and whether that is all; it is not while something is copied in, which
            this does not wait for.
        """
        found: list[Change] = []
        held = 0
        if not self._lock.acquire(blocking=False):
            return (), False
        try:
            for mirror in self._mirrors.values():
                for change in mirror.changes(final=final):
                    found.append(change)
                    held += len(change.data) if isinstance(change, Piece) else 0
                    if held >= _MOST_BYTES:
                        return tuple(found), False
        finally:
            self._lock.release()
        return tuple(found), True

    def begin_anew(self) -> None:
        """Forget what was sent."""
        with self._lock:
            for mirror in self._mirrors.values():
                mirror.begin_anew()

    def _copy_of(self, source: ShareSource) -> Path:
        share = Path(source.folder)
        place = self._folder / share.parent.name / share.name
        with self._lock:
            if source.folder not in self._mirrors:
                self._fetching.check(source)
                self._mirrors[source.folder] = Mirror(
                    place, source.folder, self._cache, self._fetching
                )
            self._sources[source.folder] = source
        return place

"""The folders of copies, which go when nobody has any use for them."""

import threading
import uuid
from collections.abc import Iterable
from pathlib import Path

from batchai_recipes.service.directories_below import remove_tree
from batchai_recipes.service.scheduling.ledger import Ledger
from batchai_recipes.service.scheduling.remote_volume import RemoteVolume

_REMOVED = ".removed-"
_IN_USE = (
    "SELECT EXISTS (SELECT 1 FROM jobs WHERE uid = ?1) "
    "OR EXISTS (SELECT 1 FROM clusters WHERE uid = ?1) "
    "OR EXISTS (SELECT 1 FROM nodes WHERE id = ?1)"
)


class VolumeFolders:
    """Removes copies, without keeping anybody waiting.

    Args:
        ledger: Tells who is still there.
        folder: Where the copies lie, one folder for each cluster, job and node.
    """

    def __init__(self, ledger: Ledger, folder: Path) -> None:
        self._ledger = ledger
        self._folder = folder

    def discard(self, volumes: Iterable[RemoteVolume]) -> None:
        """Remove copies so that the next ones begin afresh.

        Args:
            volumes: The volumes.
        """
        self._remove(volume.folder for volume in volumes)

    def discard_data(self, volumes: Iterable[RemoteVolume]) -> None:
        """Remove copies that have served; their manifests stay, for listing what was written.

        Args:
            volumes: The volumes.
        """
        self._remove(volume.data for volume in volumes)

    def remove_orphans(self) -> None:
        """Remove the copies of clusters, jobs and nodes that are gone."""
        found = list(self._folder.iterdir()) if self._folder.is_dir() else []
        if not found:
            return
        with self._ledger.read() as records:
            gone = [
                folder
                for folder in found
                if not records.execute(_IN_USE, (folder.name,)).fetchone()[0]
            ]
        self._remove(gone)

    def _remove(self, folders: Iterable[Path]) -> None:
        aside = []
        for folder in folders:
            removed = self._folder / f"{_REMOVED}{uuid.uuid4().hex}"
            try:
                folder.rename(removed)
            except OSError:
                continue  # gone already
            aside.append(removed)
        if aside:
            # A copy may hold a hundred thousand files, and jobs are waiting for the scheduler.
            threading.Thread(target=_remove_all, args=(aside,), daemon=True).start()


def _remove_all(folders: list[Path]) -> None:
    for folder in folders:
        remove_tree(folder)

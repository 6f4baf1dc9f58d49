"""The copy of one volume: its folder, its manifest, and the right to touch them."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from batchai_recipes.volume_sync.azure_blobs import AzureBlobContainer
from batchai_recipes.volume_sync.azure_files import AzureFileShare
from batchai_recipes.volume_sync.copy_folder import CopyFolder
from batchai_recipes.volume_sync.manifest import Manifest
from batchai_recipes.volume_sync.remote_volume import RemoteVolume
from batchai_recipes.volume_sync.request import VolumeRequest
from batchai_recipes.volume_sync.sync_error import SyncError, explained

DATA = "data"
_MANIFEST = "manifest.json"
_READY = "ready"


class VolumeCopy:
    """A volume and its copy on this machine.

    Args:
        volume: The volume.

    Raises:
        SyncError: The key or the address cannot be one.
    """

    def __init__(self, volume: VolumeRequest) -> None:
        self.volume = volume
        self._notes: list[str] = []
        self._told = 0
        folder = volume.folder
        self.folder = CopyFolder(folder / DATA, folder / "parts")
        try:
            self.remote: RemoteVolume = (
                AzureFileShare(volume) if volume.kind == "files" else AzureBlobContainer(volume)
            )
        except Exception as error:
            raise _as_whole(explained(error, volume)) from error
        self.manifest = Manifest()
        self._loaded: tuple[int, int] | None = None

    @contextmanager
    def held(self) -> Iterator[Manifest]:
        """Keep every other process away from the copy while a block lasts.

        Yields:
            The manifest, which is written when the block ends, however it does.

        Raises:
            SyncError: The copy is gone.
        """
        folder = self.volume.folder
        if not (folder / DATA).is_dir():
            # Going on would look as if the job had deleted everything.
            raise SyncError(f"{self.volume}: its copy at {folder} is gone", whole=True)
        lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self._clear_parts()
            self._load()
            try:
                yield self.manifest
            finally:
                self._save()
        finally:
            os.close(lock)

    def mark_ready(self) -> None:
        """Note that all of the volume has been copied in once."""
        (self.volume.folder / _READY).touch()

    def note(self, text: str) -> None:
        """Keep a line for the log, once."""
        line = f"{self.volume}: {text}"
        if line not in self._notes:
            self._notes.append(line)

    def untold_notes(self) -> list[str]:
        """Return the lines that were kept since this was last asked."""
        untold, self._told = self._notes[self._told :], len(self._notes)
        return untold

    def _clear_parts(self) -> None:
        parts = self.volume.folder / "parts"
        parts.mkdir(exist_ok=True)
        for left in parts.iterdir():
            left.unlink(missing_ok=True)  # of a process that was killed, for this one has the lock

    def _load(self) -> None:
        path = self.volume.folder / _MANIFEST
        seen = _identity(path)
        if seen is None or seen != self._loaded:
            self.manifest = Manifest.load(path)
        self._before = self.manifest.copied()

    def _save(self) -> None:
        path = self.volume.folder / _MANIFEST
        if self.manifest != self._before or not path.exists():
            self.manifest.save(path)
        self._loaded = _identity(path)


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_mtime_ns


def _as_whole(error: SyncError) -> SyncError:
    return SyncError(str(error), whole=True, temporary=error.temporary)

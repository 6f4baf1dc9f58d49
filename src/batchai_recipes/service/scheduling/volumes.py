"""Turning the mount volumes of a cluster or a job into folders that an engine can mount."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from attrs import frozen

from batchai_recipes.service.engines.engine import Mount
from batchai_recipes.service.scheduling.local_volumes import file_server_volume, unmanaged_volume
from batchai_recipes.service.scheduling.remote_volume import RemoteVolume
from batchai_recipes.service.scheduling.storage_volumes import StorageVolumes
from batchai_recipes.service.scheduling.volume import Volume, VolumeError, refusal
from batchai_recipes.service.scheduling.volume_places import (
    AccountLookup,
    ShareLookup,
    VolumePlaces,
)

_logger = logging.getLogger(__name__)


@frozen
class ResolvedVolumes:
    """What to mount.

    Args:
        mounts: The folders to mount.
        remote: What those of them that are copies are copies of.
        notes: What their user should know, for the execution log.
    """

    mounts: tuple[Mount, ...] = ()
    remote: tuple[RemoteVolume, ...] = ()
    notes: tuple[str, ...] = ()


class Volumes:
    """Finds the folder behind each mount volume, for those who hold the account's key.

    Args:
        accounts: The storage accounts.
        shares: The file shares.
        places: What other volumes need; without it only the service's own shares can be mounted.
    """

    def __init__(
        self, accounts: AccountLookup, shares: ShareLookup, places: VolumePlaces | None = None
    ) -> None:
        self._storage = StorageVolumes(accounts, shares, places)
        self._places = places

    def resolve(
        self,
        mount_volumes: Mapping[str, Any] | None,
        account_keys: Mapping[str, str],
        owner: str = "",
    ) -> ResolvedVolumes:
        """Check the volumes and find their folders.

        Args:
            mount_volumes: ``mountVolumes`` of a cluster's node setup or of a job.
            account_keys: The account keys given with them, by relative mount path.
            owner: The uid of the cluster or the job, whose copies remote volumes get.

        Returns:
            What to mount where.

        Raises:
            VolumeError: One of them cannot be mounted.
        """
        found = list(self._found(mount_volumes or {}, account_keys, owner))
        _refuse_overlaps([volume.mount.relative_path for volume in found])
        return ResolvedVolumes(
            mounts=tuple(volume.mount for volume in found),
            remote=tuple(volume.remote for volume in found if volume.remote is not None),
            notes=tuple(note for volume in found for note in volume.notes),
        )

    def remote(
        self, mount_volumes: Mapping[str, Any] | None, account_keys: Mapping[str, str], owner: str
    ) -> tuple[RemoteVolume, ...]:
        """Find the copies among volumes that have been mounted before.

        Args:
            mount_volumes: As for :meth:`resolve`.
            account_keys: Likewise.
            owner: Likewise.

        Returns:
            The copies; what cannot be mounted (any more) is left out.
        """
        found: list[RemoteVolume] = []
        for kind in ("azureFileShares", "azureBlobFileSystems"):
            for reference in (mount_volumes or {}).get(kind) or ():
                found += self._remote(kind, reference, account_keys, owner)
        return tuple(found)

    def _remote(
        self, kind: str, reference: Mapping[str, Any], keys: Mapping[str, str], owner: str
    ) -> tuple[RemoteVolume, ...]:
        try:
            return self.resolve({kind: [reference]}, keys, owner).remote
        except VolumeError as error:
            _logger.warning("A volume is not copied: %s", error)
            return ()

    def _found(
        self, volumes: Mapping[str, Any], keys: Mapping[str, str], owner: str
    ) -> Iterator[Volume]:
        for kind, references in volumes.items():
            for reference in references or ():
                given = str(reference.get("relativeMountPath") or "")
                yield self._volume(kind, _checked(given), reference, keys.get(given, ""), owner)

    def _volume(
        self, kind: str, path: str, reference: Mapping[str, Any], key: str, owner: str
    ) -> Volume:
        if kind == "azureFileShares":
            return self._storage.share(path, reference, key, owner)
        if kind == "azureBlobFileSystems":
            return self._storage.container(path, reference, key, owner)
        if self._places is not None and kind == "fileServers":
            return file_server_volume(path, reference, self._places)
        if self._places is not None and kind == "unmanagedFileSystems":
            return unmanaged_volume(path, reference, self._places)
        raise VolumeError("MountVolumeNotSupported", f"This service does not mount {kind}")


def _checked(path: str) -> str:
    pure = PurePosixPath(path)
    if not pure.parts or pure.is_absolute() or ".." in pure.parts or "\0" in path:
        raise refusal(
            path, "relativeMountPath must name a directory below the mount root, without '..'"
        )
    return str(pure)


def _refuse_overlaps(paths: Sequence[str]) -> None:
    for number, path in enumerate(paths):
        for other in paths[:number]:
            first, second = PurePosixPath(other), PurePosixPath(path)
            if first == second or first in second.parents or second in first.parents:
                raise refusal(
                    path, f"relativeMountPath overlaps with {other!r}: give each its own directory"
                )

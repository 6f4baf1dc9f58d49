"""Volumes that a directory of this machine stands for: file servers and unmanaged file systems."""

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from batchai_recipes.service.engines.engine import Mount
from batchai_recipes.service.mount_command import bound_directory
from batchai_recipes.service.scheduling.storage_volumes import options_of
from batchai_recipes.service.scheduling.volume import Volume, refusal
from batchai_recipes.service.scheduling.volume_places import VolumePlaces


def file_server_volume(path: str, reference: Mapping[str, Any], places: VolumePlaces) -> Volume:
    """Find the folder of a file server, or of a directory on it.

    Args:
        path: Where to mount it.
        reference: What was asked for.
        places: Knows the file servers.

    Raises:
        VolumeError: It cannot be mounted.
    """
    server = str((reference.get("fileServer") or {}).get("id") or "")
    options = options_of(path, reference)
    try:
        root = places.disks.root(server)
    except LookupError as error:
        raise refusal(path, f"there is no file server {server!r}: create it first") from error
    directory = str(reference.get("sourceDirectory") or "")
    folder = root.joinpath(*PurePosixPath(directory.strip("/")).parts)
    if not _actual(path, folder).is_relative_to(root.resolve()):
        raise refusal(path, f"sourceDirectory {directory!r} leads out of the file server")
    if not folder.is_dir():
        raise refusal(
            path,
            f"the file server has no directory {directory!r}: make it below its "
            f"mountSettings.mountPoint, {root}",
        )
    return Volume(Mount(path, folder, read_only=options.read_only), options=options)


def unmanaged_volume(path: str, reference: Mapping[str, Any], places: VolumePlaces) -> Volume:
    """Find the directory that a mount command binds.

    Args:
        path: Where to mount it.
        reference: What was asked for.
        places: Knows what must not be mounted.

    Raises:
        VolumeError: It cannot be mounted.
    """
    try:
        bound = bound_directory(str(reference.get("mountCommand") or ""))
    except ValueError as error:
        raise refusal(path, f"mountCommand: {error}") from error
    folder = Path(bound.path)
    actual, private = _actual(path, folder), places.state.root.resolve()
    if actual.is_relative_to(private) or private.is_relative_to(actual):
        # It holds the keys of all accounts, and the work of other jobs.
        raise refusal(path, f"{bound.path!r} is, holds or lies in the service's state directory")
    if not folder.is_dir():
        raise refusal(path, f"this machine has no directory {bound.path!r}: make it first")
    mount = Mount(path, folder, read_only=bound.options.read_only)
    return Volume(mount, options=bound.options)


def _actual(path: str, folder: Path) -> Path:
    """Return the directory that a name leads to, links followed."""
    try:
        return folder.resolve()
    except (OSError, RuntimeError, ValueError) as error:  # links in a circle; a NUL in the name
        raise refusal(
            path, f"{str(folder)!r} leads to no directory ({error}): name one that is there"
        ) from error

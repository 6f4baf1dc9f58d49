"""Making and removing folders whose links lead out of them."""

import os
import shutil
import stat
from pathlib import Path

from batchai_recipes.service.engines.engine import EngineError, Mount, MountError


def mount_all(root: Path, mounts: tuple[Mount, ...]) -> None:
    """Make each volume appear under a mount root, as a link to its folder.

    Args:
        root: The mount root; made when missing.
        mounts: The volumes.

    Raises:
        MountError: A volume's folder is gone, or something else lies where it shall appear.
        EngineError: The mount root cannot be made.
    """
    make_folder(root)
    for mount in mounts:
        if not mount.source.is_dir():
            raise MountError(
                f"The volume for {mount.relative_path!r} is not there any more: create its share "
                "again, then scale the cluster down and up"
            )
        place = root / mount.relative_path
        make_folder(place.parent)
        try:
            if place.is_symlink():
                if place.readlink() == mount.source:
                    continue  # tasks may be using it
                place.unlink()
            place.symlink_to(mount.source, target_is_directory=True)
        except OSError as error:
            raise MountError(
                f"The volume for {mount.relative_path!r} cannot be mounted: {error.strerror}"
            ) from error


def make_folder(path: Path) -> None:
    """Make a folder and its parents where they are missing.

    Args:
        path: The folder.

    Raises:
        EngineError: Something is in the way.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EngineError(f"The directory {path} cannot be made: {error.strerror}") from error


def remove_folder(path: Path) -> None:
    """Remove a folder with everything in it, but nothing that its links lead to.

    Args:
        path: The folder; may be missing.

    Raises:
        EngineError: Something in it cannot be removed.
    """
    if path.is_symlink() or not path.exists():
        return
    try:
        _open_up(path)
        shutil.rmtree(path)
    except FileNotFoundError:
        return
    except OSError as error:
        raise EngineError(f"The folder {path} cannot be removed: {error}") from error


def _open_up(path: Path) -> None:
    # A job may leave folders behind that even their owner cannot list.
    mode = path.lstat().st_mode
    if mode & stat.S_IRWXU != stat.S_IRWXU:
        path.chmod(stat.S_IMODE(mode) | stat.S_IRWXU)
    with os.scandir(path) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                _open_up(Path(entry.path))

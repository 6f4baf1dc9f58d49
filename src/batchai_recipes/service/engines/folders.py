"""Making and removing folders whose links lead out of them."""

import json
import os
from collections.abc import Sequence
from pathlib import Path

from batchai_recipes.service.directories_below import remove_tree
from batchai_recipes.service.engines.engine import EngineError, JobFolders, Mount, MountError
from batchai_recipes.service.state_directory import write_private


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
        check_source(mount)
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
    _note_read_only(root, mounts)


def check_source(mount: Mount) -> None:
    """Check that the folder behind a volume is there.

    Args:
        mount: The volume.

    Raises:
        MountError: It is gone.
    """
    if not mount.source.is_dir():
        raise MountError(
            f"The volume for {mount.relative_path!r} is not there any more: create its share "
            "again, then scale the cluster down and up"
        )


def job_folders(root: Path, node_ids: Sequence[str]) -> JobFolders:
    """Say where what is in a job's folder.

    Args:
        root: The job's folder.
        node_ids: Its nodes.
    """
    return JobFolders(
        root=str(root),
        mount_root=str(root / "mounts"),
        shared_temp=str(root / "shared"),
        temp={node_id: str(root / f"temp-{node_id}") for node_id in node_ids},
        mpi_host_file=str(root / "hostfile"),
    )


def read_only_below(root: Path) -> list[str]:
    """Return the folders behind the volumes of a mount root that must not be written to.

    Args:
        root: The mount root.
    """
    try:
        found: list[str] = json.loads(_note(root).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return []
    return found


def writable_below(root: Path, read_only: Sequence[str]) -> list[str]:
    """Return the folders behind a mount root's volumes that are writable within read-only ones.

    Args:
        root: The mount root.
        read_only: The read-only folders.
    """
    links = [Path(at, name) for at, names, _ in os.walk(root) for name in names]
    sources = {os.path.realpath(link) for link in links if link.is_symlink()}
    return sorted(
        source
        for source in sources.difference(read_only)
        if any(source.startswith(f"{folder}/") for folder in read_only)
    )


def _note_read_only(root: Path, mounts: tuple[Mount, ...]) -> None:
    """Write down what tasks must not write to, for whoever launches them later."""
    folders = [os.path.realpath(mount.source) for mount in mounts if mount.read_only]
    try:
        if folders:
            write_private(_note(root), json.dumps(folders))
        else:
            _note(root).unlink(missing_ok=True)
    except OSError as error:
        raise EngineError(f"The mount root {root} cannot be made: {error.strerror}") from error


def _note(root: Path) -> Path:
    return root.with_name("read-only.json")


def volumes_below(root: Path) -> list[str]:
    """Find the folders that the links below a mount root lead to.

    Args:
        root: The mount root; may be missing.
    """
    links = [Path(at, name) for at, names, files in os.walk(root) for name in (*names, *files)]
    return [str(link.readlink()) for link in links if link.is_symlink()]


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
    if path.is_symlink():
        return
    remove_tree(path)
    if path.exists():
        raise EngineError(
            f"Part of the folder {path} cannot be removed, since a job made it with other rights"
        )

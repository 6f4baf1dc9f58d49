"""What a killed training goes on from: folders that appear whole, one for each epoch."""

import json
import re
import shutil
from pathlib import Path
from typing import Any, Callable, Dict, List

from .metrics import Record
from .whole_file import TEMPORARY_SUFFIX, sync, temporary_beside

FOLDER = "checkpoints"
KEPT = 2

_PROGRESS = "progress.json"
_STATE = "state"
_NAME = re.compile(r"epoch_(\d{4,})")


class Checkpoint:
    """A training at the end of an epoch.

    Args:
        folder: Where it is.
        settings: What was given to the training that another one must be given as well.
        records: The metrics of the epochs so far.
    """

    def __init__(self, folder: Path, settings: Dict[str, Any], records: List[Record]) -> None:
        self.folder = folder
        self.settings = settings
        self.records = records

    @property
    def state(self) -> Path:
        """Where the engine's own state is; an engine may add endings to it."""
        return self.folder / _STATE


def write_checkpoint(
    folder: Path,
    settings: Dict[str, Any],
    records: List[Record],
    save_state: Callable[[Path], None],
) -> None:
    """Write a checkpoint after the last epoch that has a record; remove all but the newest two.

    Args:
        folder: The folder of checkpoints; made when missing.
        settings: What another training must be given as well to go on from it.
        records: The metrics of the epochs so far.
        save_state: Writes the engine's state to a path.

    Raises:
        OSError: It cannot be written.
    """
    folder.mkdir(exist_ok=True)
    final = folder / "epoch_{:04d}".format(len(records))
    temporary = temporary_beside(final)
    temporary.mkdir()
    try:
        save_state(temporary / _STATE)
        progress = {"settings": settings, "records": records}
        (temporary / _PROGRESS).write_text(json.dumps(progress, sort_keys=True))
        for file in temporary.iterdir():
            sync(file)
        sync(temporary)
        if final.exists():
            shutil.rmtree(str(final))
        temporary.replace(final)
        sync(folder)
    finally:
        if temporary.exists():
            shutil.rmtree(str(temporary), ignore_errors=True)
    for older in _folders(folder)[KEPT:]:
        shutil.rmtree(str(older), ignore_errors=True)


def read_checkpoints(folder: Path) -> List[Checkpoint]:
    """Return the checkpoints in a folder, the newest first, without those that are damaged.

    Args:
        folder: The folder of checkpoints; need not exist.
    """
    checkpoints = []
    for candidate in _folders(folder):
        try:
            progress = json.loads((candidate / _PROGRESS).read_text())
            checkpoint = Checkpoint(candidate, progress["settings"], progress["records"])
        except (OSError, ValueError, KeyError, TypeError):
            continue
        checkpoints.append(checkpoint)
    return checkpoints


def remove_checkpoints(folder: Path) -> None:
    """Remove all checkpoints, and what a killed training left of one."""
    remove_unfinished(folder)
    for checkpoint in _folders(folder):
        shutil.rmtree(str(checkpoint))


def remove_unfinished(folder: Path) -> None:
    """Remove what a killed training did not finish to write, files or folders."""
    if not folder.is_dir():
        return
    for left in folder.iterdir():
        if left.name.startswith(".") and left.name.endswith(TEMPORARY_SUFFIX):
            if left.is_dir():
                shutil.rmtree(str(left), ignore_errors=True)
            else:
                left.unlink()


def _folders(folder: Path) -> List[Path]:
    if not folder.is_dir():
        return []
    named = [(_NAME.fullmatch(path.name), path) for path in folder.iterdir()]
    numbered = [(int(match.group(1)), path) for match, path in named if match]
    return [path for _, path in sorted(numbered, reverse=True)]

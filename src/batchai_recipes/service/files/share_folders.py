"""The folders that are shares, and those that are to become or no longer are one."""

import contextlib
import logging
import uuid
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Final

from batchai_recipes.service.directories_below import remove_tree
from batchai_recipes.service.state_directory import StateDirectory

# No share can have this name, since a share's starts with a letter or digit.
_DELETED_PREFIX: Final = ".deleted-"
COPY_PREFIX: Final = ".copy-"
"""What the names of files begin with that are copies not yet complete."""
SNAPSHOT_PREFIX: Final = ".snapshot-"
"""What the names of folders begin with that are snapshots not yet, or no longer, complete."""

_logger = logging.getLogger(__name__)


class ShareFolders:
    """The folders of all shares.

    What is deleted is set aside by a rename first, which is done at once and outlives a crash.

    Args:
        state: Where they are.
    """

    def __init__(self, state: StateDirectory) -> None:
        self._state = state
        self._folder = lru_cache(maxsize=256)(state.share)

    def of(self, account: str, share: str, snapshot: str = "") -> Path:
        """Return the folder of a share, or of a snapshot of one, whether it exists or not.

        Args:
            account: The storage account.
            share: The share's name.
            snapshot: The time that names the snapshot; empty for the share itself.
        """
        if snapshot:
            return self._state.share_snapshot(account, share, snapshot)
        return self._folder(account, share)

    def set_aside(self, account: str, share: str) -> Sequence[Path]:
        """Set aside what there is of a share and its snapshots.

        Args:
            account: The storage account.
            share: The share's name.

        Returns:
            The folders, to be removed by :func:`remove_folder`.
        """
        found = []
        for folder in (
            self._state.share(account, share),
            self._state.share_snapshots(account, share),
        ):
            aside = self._state.shares / account / f"{_DELETED_PREFIX}{uuid.uuid4().hex}"
            with contextlib.suppress(FileNotFoundError):
                folder.rename(aside)
                found.append(aside)
        return found

    def set_aside_account(self, account: str) -> Sequence[Path]:
        """Set aside what there is of an account.

        Args:
            account: The storage account.

        Returns:
            The folders, to be removed by :func:`remove_folder`.
        """
        aside = self._state.shares / f"{_DELETED_PREFIX}{uuid.uuid4().hex}"
        try:
            (self._state.shares / account).rename(aside)
        except FileNotFoundError:
            return ()
        return (aside,)

    def finish_deletions(self) -> None:
        """Finish the deletions that an earlier process had begun; drop copies it left half made."""
        for incomplete in self._state.shares.glob(f"*/{COPY_PREFIX}*"):
            incomplete.unlink(missing_ok=True)
        for pattern in (f"*/{_DELETED_PREFIX}*", f"{_DELETED_PREFIX}*"):
            for aside in self._state.shares.glob(pattern):
                remove_folder(aside)
        # Only those with nothing in them: where records were lost, files must not be too.
        for folder in self._state.shares.iterdir():
            with contextlib.suppress(OSError):
                folder.rmdir()


def remove_folder(folder: Path) -> None:
    """Remove a folder with all in it, as far as this user may.

    Args:
        folder: The folder, which nobody uses any more.
    """
    remove_tree(folder)
    if folder.exists():
        _logger.warning(
            "Part of a deleted share cannot be removed, since a job made it with other rights: %s",
            folder,
        )

"""Drafts: where a file is written until it is whole; then it gets its name at once.

Whoever reads a share meanwhile, a job or another session, finds the file as it was before or as it
is to be. Drafts are in a directory of their own in the share's root, which names whose they are, so
that what a killed program leaves can be told from what is being written.
"""

import itertools
import secrets
from collections.abc import Callable
from datetime import timedelta
from typing import Final

from batchai_recipes.staging.file_shares import Share
from batchai_recipes.staging.share_files import Listing

DIRECTORY: Final = ".batchai-recipes-draft-"
"""What the names of the directories begin with that drafts are in; whose they are comes after."""

LONGEST_PAUSE: Final = timedelta(minutes=15)
"""How long a draft of somebody unknown was not written to when it is taken for left."""


class Drafts:
    """The drafts of one staging; may be used from several threads.

    Args:
        files: The share.
        owner: Whose they are, in letters, digits and ``-``; empty for nobody in particular.

    Attributes:
        work: Whether the service renames files, as far as is known.
    """

    def __init__(self, files: Share, owner: str = "") -> None:
        self._files = files
        self._directory = DIRECTORY + (owner or secrets.token_hex(8))
        self._numbers = itertools.count()
        self._begun: set[str] = set()
        self._has_directory = False
        self.work = True

    def begin(self) -> str:
        """Return the path of a new draft."""
        if not self._has_directory:
            self._files.create_directory(self._directory)
            self._has_directory = True
        draft = f"{self._directory}/{next(self._numbers)}"
        self._begun.add(draft)
        return draft

    def finish(self, draft: str, path: str, sha256: str) -> str | None:
        """Give a draft its name, in place of a file that has it.

        Args:
            draft: The draft's path.
            path: The file's path.
            sha256: The hash of what it holds, which is in its metadata too.

        Returns:
            The file's entity tag; None where the service does not rename files.
        """
        etag = self._files.rename(draft, path, sha256)
        if etag is None:
            self.work = False
        else:
            self._begun.discard(draft)
        return etag

    def close(self) -> None:
        """Delete what was not finished."""
        for draft in sorted(self._begun):
            self._files.delete(draft)
        self._begun.clear()
        if self._has_directory:
            self._files.delete_directory(self._directory)
            self._has_directory = False


def clear_left(files: Share, root: Listing, is_gone: Callable[[str], bool | None]) -> None:
    """Delete the drafts of those that are gone.

    Args:
        files: The share.
        root: What is in its root.
        is_gone: Tells whether an owner is gone; None where that is not known.
    """
    for directory in sorted(root.directories):
        if directory.startswith(DIRECTORY):
            owner = directory.removeprefix(DIRECTORY)
            _clear_directory(files, directory, is_gone=is_gone(owner))


def _clear_directory(files: Share, directory: str, *, is_gone: bool | None) -> None:
    """Delete a directory of drafts if their owner is gone.

    Where that is not known, it is taken for gone when it has not written for long.
    """
    listing = None if is_gone is False else files.list(directory)
    if listing is None:
        return
    paths = [f"{directory}/{name}" for name in sorted(listing.files)]
    if is_gone is None:
        pauses = [files.unwritten_for(path) for path in paths]
        # One that is empty was just made, for all that can be told.
        if not paths or any(pause is not None and pause < LONGEST_PAUSE for pause in pauses):
            return
    for path in paths:
        files.delete(path)
    files.delete_directory(directory)

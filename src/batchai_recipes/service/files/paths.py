"""Paths inside a share: validated once, safe by construction.

A :class:`SharePath` never holds ``..``, ``.``, an empty name, a separator or a NUL. Whether a path
leads out of the share through a symbolic link is for the walk of
:mod:`~batchai_recipes.service.files.tree` to see, since only the disk knows.
"""

import re
from typing import Final

from attrs import frozen

from batchai_recipes.service.files.errors import ErrorCode, FileServiceError

MAXIMUM_NAME: Final = 255
MAXIMUM_PATH: Final = 2048
MAXIMUM_DEPTH: Final = 250

_FORBIDDEN = re.compile(r'[\x00-\x1f"\\:|<>*?\x7f-\x9f]')
_DEVICE = re.compile(r"com[1-9]|lpt[1-9]|prn|aux|nul|con|clock\$", re.IGNORECASE)


def fold(name: str) -> str:
    """Return a name in the form in which names that differ only in case are equal.

    Letters are folded one by one, as Windows does it, so a folded name is as long as the name:
    ``ß`` and ``ss`` stay apart.

    Args:
        name: A name of a file or directory.

    Example:
        >>> fold("Train.TXT") == fold("TRAIN.txt")
        True
        >>> fold("straße") == fold("strasse")
        False
    """
    if name.isascii():
        return name.upper()
    return "".join(
        upper if len(upper) == 1 else letter for letter in name for upper in (letter.upper(),)
    )


@frozen
class SharePath:
    """Where a file or directory lies in its share.

    Args:
        names: The names from the root down; none is the root directory itself.
    """

    names: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> "SharePath":
        """Read a decoded path; empty parts, as in ``a//b/``, count for nothing.

        Args:
            text: The path below the share, percent-decoded once, with ``/`` between names.

        Raises:
            FileServiceError: A name cannot be served, or the path is too long or too deep.

        Example:
            >>> SharePath.parse("data/train.txt").names
            ('data', 'train.txt')
        """
        names = tuple(name for name in text.split("/") if name)
        if sum(map(len, names)) + len(names) > MAXIMUM_PATH + 1 or len(names) > MAXIMUM_DEPTH:
            raise FileServiceError(
                ErrorCode.INVALID_FILE_OR_DIRECTORY_PATH_NAME,
                f"A path has at most {MAXIMUM_PATH} characters and {MAXIMUM_DEPTH} names.",
            )
        for name in names:
            if name in {".", ".."} or "\0" in name or len(name) > MAXIMUM_NAME:
                raise _invalid(name)
        return cls(names)

    def __str__(self) -> str:
        return "/".join(self.names)

    @property
    def is_root(self) -> bool:
        """Whether this is the share's root directory."""
        return not self.names

    @property
    def name(self) -> str:
        """The last name, empty for the root."""
        return self.names[-1] if self.names else ""

    @property
    def parent(self) -> "SharePath":
        """The directory that holds this; the root's is the root."""
        return SharePath(self.names[:-1])

    @property
    def folded(self) -> str:
        """The path in the form in which paths that differ only in case are equal."""
        return "/".join(map(fold, self.names))

    def check_new(self) -> None:
        """Make sure that Azure Files would let a new file or directory have this path's last name.

        Only new names are held to this: a job, which writes through the disk, may have made
        ``12:30.log``, and then its owner wants to download it.

        Raises:
            FileServiceError: The name has a forbidden character or is one of a device.
        """
        if _FORBIDDEN.search(self.name) or _DEVICE.fullmatch(self.name):
            raise _invalid(self.name)

    def missing(self) -> FileServiceError:
        """Return the refusal of a request for this path where nothing is there."""
        try:
            self.check_new()
        except FileServiceError as invalid:
            return invalid
        return FileServiceError(ErrorCode.RESOURCE_NOT_FOUND, f"There is nothing at {str(self)!r}.")


def _invalid(name: str) -> FileServiceError:
    return FileServiceError(
        ErrorCode.INVALID_RESOURCE_NAME,
        f"{name[:80]!r} cannot name a file or directory: a name has 1 to {MAXIMUM_NAME} "
        'characters, none of them a control character or one of " \\ / : | < > * ?, and is not '
        "'.', '..' or the name of a device such as COM1.",
    )


@frozen
class Location:
    """A file or directory of one share of one account.

    Args:
        account: The storage account.
        share: The share.
        path: Where it lies in the share.
        snapshot: The time that names the snapshot of the share; empty for the share itself.
    """

    account: str
    share: str
    path: SharePath
    snapshot: str = ""

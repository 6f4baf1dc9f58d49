"""What is in a local folder, but for what patterns in the syntax of ``.gitignore`` leave out."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import field, frozen

from batchai_recipes.errors import ConfigurationError
from batchai_recipes.names import checked_relative_path

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec


@frozen
class LocalTree:
    """The folders and files of a local folder, in order.

    Args:
        folders: The paths of the folders below it, relative, parents first; empty ones included.
        files: The paths of the files, relative.
    """

    folders: tuple[str, ...]
    files: tuple[str, ...]

    @classmethod
    def of(cls, folder: Path, ignore: Iterable[str]) -> "LocalTree":
        """Walk a folder; links are followed.

        Args:
            folder: The folder.
            ignore: Patterns of what to leave out. As in git, a later pattern overrules an earlier
                one, and what is in a folder that is left out cannot be taken in again.

        Raises:
            ConfigurationError: There is no such folder, a pattern is none, or the folder has what
                cannot be on a share.
        """
        walk = _Walk(folder, _spec(ignore))
        if not folder.is_dir():
            what = "is a file" if folder.exists() else "does not exist"
            raise ConfigurationError(f"Cannot upload the tree {folder}: it {what}; name a folder")
        walk.enter(folder, "", ())
        return cls(tuple(walk.folders), tuple(walk.files))


@frozen
class _Walk:
    root: Path
    spec: "GitIgnoreSpec"
    folders: list[str] = field(factory=list)
    files: list[str] = field(factory=list)

    def enter(self, folder: Path, prefix: str, above: tuple[Path, ...]) -> None:
        """Take up what is in a folder.

        Args:
            folder: The folder.
            prefix: Its relative path with a closing slash; empty for the root.
            above: The folders that lead to it, links resolved.
        """
        real = folder.resolve()
        if real in above:
            raise ConfigurationError(
                f"Cannot upload the tree {self.root}: {folder} is a link to a folder that it is "
                f"in; ignore it"
            )
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError as error:
            raise ConfigurationError(f"Cannot upload {folder}: {error.strerror}") from error
        for entry in entries:
            path = prefix + entry.name
            is_folder = Path(entry.path).is_dir()  # unlike the entry's own, takes links in a ring
            if self.spec.match_file(f"{path}/" if is_folder else path):
                continue
            checked_relative_path(f"file of a share (in the tree {self.root})", path)
            if is_folder:
                self.folders.append(path)
                self.enter(Path(entry.path), f"{path}/", (*above, real))
            elif Path(entry.path).is_file():
                self.files.append(path)
            else:
                raise ConfigurationError(
                    f"Cannot upload {entry.path}: it is neither a file nor a folder, or a link to "
                    f"nothing; ignore it"
                )


def _spec(ignore: Iterable[str]) -> "GitIgnoreSpec":
    from pathspec import GitIgnoreSpec  # noqa: PLC0415 - loaded on first use

    if isinstance(ignore, str):
        raise ConfigurationError(f"ignore takes a list of patterns: write ignore=[{ignore!r}]")
    try:
        return GitIgnoreSpec.from_lines(ignore)
    except (ValueError, TypeError) as error:
        raise ConfigurationError(f"Not a pattern of .gitignore: {error}") from error

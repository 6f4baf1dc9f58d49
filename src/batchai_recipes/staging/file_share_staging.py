"""What goes to a file share: directories and files, as a value that can be reused and compared."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from attrs import evolve, field, frozen

from batchai_recipes.errors import ConfigurationError
from batchai_recipes.names import checked_relative_path, checked_share_name
from batchai_recipes.notebook import grid
from batchai_recipes.staging.connections import MAX_CONNECTIONS, checked_connections
from batchai_recipes.staging.local_tree import LocalTree
from batchai_recipes.staging.mounted_path import MountedPath
from batchai_recipes.staging.web_file import StagedUrl, name_of


@frozen
class StagedFile:
    """One local file and its place on the share.

    Args:
        source: The local file, absolute.
        directory: The directory on the share, empty for the share's root.
        size: The file's size in bytes when it was named.

    Example:
        >>> StagedFile(Path("/home/demo/train.py"), "code", 7).path
        'code/train.py'
    """

    source: Path
    directory: str
    size: int

    @property
    def path(self) -> str:
        """The file's path on the share."""
        return f"{self.directory}/{self.source.name}" if self.directory else self.source.name


@frozen
class FileShareStaging:
    """Describes a file share and what to put on it; each method returns a new value.

    Nothing is sent before a :class:`~batchai_recipes.TrainingSession` stages it.

    Args:
        share: The share's name: 3 to 63 lower-case letters, digits and single hyphens.
        max_connections: How many requests to the file service are under way at a time: for files,
            and for the parts of large ones.

    Raises:
        ConfigurationError: The share's name or the number is not allowed.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     script = Path(folder) / "train.py"
        ...     _ = script.write_text("print('hello')")
        ...     staging = FileShareStaging("demo").directory("code").upload(script)
        >>> [file.path for file in staging.files]
        ['code/train.py']
        >>> staging.mounted("code")
        MountedPath(share='demo', path='code')
    """

    share: str = field(converter=checked_share_name)
    directories: tuple[str, ...] = field(default=(), kw_only=True)
    files: tuple[StagedFile, ...] = field(default=(), kw_only=True)
    tree_directories: tuple[str, ...] = field(default=(), kw_only=True)
    urls: tuple[StagedUrl, ...] = field(default=(), kw_only=True)
    max_connections: int = field(
        default=MAX_CONNECTIONS, kw_only=True, converter=checked_connections, eq=False
    )

    def _repr_html_(self) -> str:
        """Return what goes to the share as a table, for notebooks."""
        files = [(file.path, file.size) for file in self.files]
        fetched = [(url.path, None) for url in self.urls]
        return grid(f"File share {self.share}", ("file", "bytes"), [*files, *fetched])

    def directory(self, path: str) -> "FileShareStaging":
        """Create a directory on the share and upload what follows into it.

        Args:
            path: The directory's path on the share; directories above it are made too.

        Raises:
            ConfigurationError: The path is absolute, leaves the share or is not allowed.
        """
        checked = checked_relative_path("directory of a share", path)
        others = tuple(known for known in self.directories if known != checked)
        return evolve(self, directories=(*others, checked))

    def upload(self, *files: str | os.PathLike[str]) -> "FileShareStaging":
        """Upload local files into the directory named last, or the share's root.

        Args:
            files: Local files; relative paths are taken from the present working directory.

        Raises:
            ConfigurationError: A file is missing or is a folder, or two files would have the same
                path on the share (Azure Files does not tell upper from lower case).
        """
        return self._with([_staged_file(Path(name), self._target) for name in files])

    def upload_tree(
        self, folder: str | os.PathLike[str], *, ignore: Iterable[str] = ()
    ) -> "FileShareStaging":
        """Upload what is in a local folder into the directory named last, or the share's root.

        Folders below it, empty ones too, become directories; links are followed. The folder is read
        now: what is written into it later is not staged.

        Args:
            folder: The local folder; its own name is not part of the paths on the share.
            ignore: Patterns of what to leave out, in the syntax of ``.gitignore``.

        Raises:
            ConfigurationError: There is no such folder, a pattern is none, or the folder has what
                cannot be on a share: forbidden characters, two names that differ only in case,
                something that is neither file nor folder, a link to a folder above it.

        Example:
            >>> import tempfile
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     Path(folder, "sub").mkdir()
            ...     for name in ("train.py", "notes.txt", "sub/model.py"):
            ...         _ = Path(folder, name).write_text("")
            ...     staging = FileShareStaging("demo").directory("code")
            ...     staging = staging.upload_tree(folder, ignore=["*.txt"])
            >>> [file.path for file in staging.files]
            ['code/sub/model.py', 'code/train.py']
        """
        root = Path(os.path.abspath(folder))  # noqa: PTH100 - keeps links as they were named
        tree = LocalTree.of(root, ignore)
        prefix = f"{self._target}/" if self._target else ""
        directories = [prefix + path for path in tree.folders]
        files = [
            _staged_file(root / path, f"{prefix}{path}".rpartition("/")[0]) for path in tree.files
        ]
        return self._with(files, directories)

    def from_url(
        self, url: str, *, name: str | None = None, sha256: str | None = None
    ) -> "FileShareStaging":
        """Put a file of the web into the directory named last, or the share's root.

        It is fetched when a session stages it, by way of this machine. With its hash given it is
        not even fetched when the share has it already.

        Args:
            url: Its address, http or https.
            name: Its name on the share; None for the last part of the address.
            sha256: The SHA-256 that it must have, in hexadecimal digits; None for any.

        Raises:
            ConfigurationError: The address, the name or the hash cannot be used, or another file
                has the same path on the share.

        Example:
            >>> staging = FileShareStaging("demo").directory("data")
            >>> staging.from_url("https://example.org/train.csv?key=secret").urls
            (StagedUrl(path='data/train.csv', sha256=None),)
        """
        named = name or name_of(url)
        if "/" in named:
            raise ConfigurationError(f"{named!r} is not a file's name: use directory() for folders")
        checked_relative_path("file of a share", named)
        path = f"{self._target}/{named}" if self._target else named
        staged = StagedUrl(url, path, sha256)
        if path.casefold() in self._paths():
            raise ConfigurationError(
                f"Two files would both be {path} on share {self.share}: give one another name"
            )
        return evolve(self, urls=(*self.urls, staged))

    def mounted(self, path: str = "") -> MountedPath:
        """Return a path of this share as a job will see it, for its input and output directories.

        Args:
            path: The path on the share; empty for the share itself.

        Raises:
            ConfigurationError: The path is absolute, leaves the share or is not allowed.
        """
        return MountedPath(
            self.share, checked_relative_path("path of a share", path) if path else ""
        )

    @property
    def _target(self) -> str:
        return self.directories[-1] if self.directories else ""

    def _paths(self) -> dict[str, str]:
        """Return what is at each path so far, in lower case: Azure Files tells no case."""
        return {
            **{file.path.casefold(): str(file.source) for file in self.files},
            **{file.path.casefold(): "a file of the web" for file in self.urls},
        }

    def _with(
        self, files: Sequence[StagedFile], directories: Sequence[str] = ()
    ) -> "FileShareStaging":
        known = {path.casefold(): path for path in (*self.directories, *self.tree_directories)}
        for path in directories:
            if known.setdefault(path.casefold(), path) != path:
                raise ConfigurationError(
                    f"{path} and {known[path.casefold()]} would be one directory on share "
                    f"{self.share}: rename one"
                )
        taken = self._paths()
        for file in files:
            source = str(file.source)
            other = taken.setdefault(file.path.casefold(), source)
            if other is not source:
                raise ConfigurationError(
                    f"{source} and {other} would both be {file.path} "
                    f"on share {self.share}: rename one or use another directory"
                )
        return evolve(
            self,
            files=(*self.files, *files),
            tree_directories=tuple(dict.fromkeys((*self.tree_directories, *directories))),
        )


def _staged_file(name: Path, directory: str) -> StagedFile:
    source = Path(os.path.abspath(name))  # noqa: PTH100 - keeps symbolic links as they were named
    if not source.is_file():
        if source.is_dir():
            raise ConfigurationError(f"Cannot upload {source}: it is a folder; use upload_tree")
        raise ConfigurationError(f"Cannot upload {source}: it does not exist; name a file")
    checked_relative_path("file of a share", source.name)
    return StagedFile(source, directory, source.stat().st_size)

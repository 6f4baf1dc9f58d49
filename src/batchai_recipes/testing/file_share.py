"""A file share of one test."""

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Final

from batchai_recipes.connection import Connection
from batchai_recipes.names import checked_relative_path
from batchai_recipes.refusals import explained
from batchai_recipes.staging.file_share_staging import FileShareStaging

_WHAT: Final = "file of a share"


class FileShare:
    """A file share, to put files on and to look at; the fixture ``file_share`` is one.

    Args:
        connection: Where it is.
        name: Its name.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from batchai_recipes.testing import BatchAIService
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with BatchAIService(Path(folder)) as service, service.file_share() as share:
        ...         share.write("code/train.py", "print()")
        ...         files, content = share.files(), share.read("code/train.py")
        >>> files, content
        (['code/train.py'], b'print()')
    """

    def __init__(self, connection: Connection, name: str) -> None:
        self._connection = connection
        self.name = name

    @property
    def url(self) -> str:
        """Its URL, which clusters and jobs mount it by."""
        return self._connection.storage.share_url(self.name)

    @property
    def staging(self) -> FileShareStaging:
        """An empty staging to this share, for a session; the session leaves the share there."""
        return FileShareStaging(self.name)

    def write(self, path: str, content: bytes | str) -> None:
        """Put a file on the share, with the directories that lead to it.

        Args:
            path: Its path on the share, such as ``code/train.py``.
            content: What it holds; text as UTF-8.

        Raises:
            ConfigurationError: The path is absolute, leaves the share or is not allowed.
            RequestError: The service refused.
        """
        from azure.storage.file.models import SMBProperties  # noqa: PLC0415 - loaded on first use

        place = PurePosixPath(checked_relative_path(_WHAT, path))
        data = content.encode() if isinstance(content, str) else content
        files = self._connection.files
        with explained(f"write {path} on share {self.name}"):
            for parent in [*reversed(place.parents)][1:]:
                files.create_directory(self.name, str(parent))
            files.create_file_from_bytes(
                self.name, _directory(place), place.name, data, smb_properties=SMBProperties()
            )

    def read(self, path: str) -> bytes:
        """Return what a file holds, such as one that a job wrote.

        Args:
            path: Its path on the share.

        Raises:
            ConfigurationError: The path is absolute, leaves the share or is not allowed.
            RequestError: There is no such file, or the service refused.
        """
        place = PurePosixPath(checked_relative_path(_WHAT, path))
        with explained(f"read {path} of share {self.name}"):
            file = self._connection.files.get_file_to_bytes(
                self.name, _directory(place), place.name
            )
        return bytes(file.content)

    def files(self) -> list[str]:
        """Return the paths of all files on the share, sorted.

        Raises:
            RequestError: The service refused.
        """
        with explained(f"list share {self.name}"):
            return sorted(self._walk(""))

    def __repr__(self) -> str:
        return f"FileShare({self.name!r})"

    def _walk(self, directory: str) -> Iterator[str]:
        from azure.storage.file.models import Directory  # noqa: PLC0415 - loaded on first use

        service = self._connection.files
        for entry in list(service.list_directories_and_files(self.name, directory or None)):
            path = f"{directory}/{entry.name}" if directory else str(entry.name)
            if isinstance(entry, Directory):
                yield from self._walk(path)
            else:
                yield path


def _directory(path: PurePosixPath) -> str | None:
    return str(path.parent) if len(path.parts) > 1 else None

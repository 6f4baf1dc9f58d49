"""The file shares of an account as sessions use them, whichever client speaks to them."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

from batchai_recipes.staging.share_files import Created, Listing, ShareFiles

if TYPE_CHECKING:
    from azure.storage.file import FileService

    from batchai_recipes.connection import Connection


class Share(Protocol):
    """The files of one share, as :class:`~batchai_recipes.staging.share_files.ShareFiles` has them.

    Its paths have slashes between their parts, and are relative to the share's root. What cannot be
    done is raised as the client's own exception.
    """

    @property
    def max_connections(self) -> int:
        """How many requests may be under way at a time."""
        ...

    @property
    def range_size(self) -> int:
        """How many bytes one request can write at most."""
        ...

    def list(self, directory: str) -> Listing | None:
        """List a directory; None where there is no such directory."""
        ...

    def create_directory(self, path: str) -> None:
        """Make a directory unless it exists."""
        ...

    def read(self, path: str) -> bytes:
        """Return what a small file holds."""
        ...

    def etag(self, path: str) -> str | None:
        """Ask for a file's entity tag; None where there is no such file."""
        ...

    def create(self, path: str, size: int, sha256: str | None = None) -> str:
        """Make a file of zeros in place of one that is there, and return its entity tag."""
        ...

    def create_with(self, path: str, content: bytes, sha256: str) -> Created:
        """Make a file with what it holds in one request, where the service can do that."""
        ...

    def write(self, path: str, content: bytes, start: int) -> str:
        """Write bytes of a file from a place on, and return its entity tag."""
        ...

    def set_hash(self, path: str, sha256: str) -> str:
        """Record the hash of what a file holds in its metadata, and return its entity tag."""
        ...


class FileShares(Protocol):
    """The file shares of one account.

    What cannot be done is raised as the client's own exception.
    """

    def exists(self, share: str) -> bool:
        """Tell whether there is a share of a name."""
        ...

    def create(self, share: str, metadata: Mapping[str, str]) -> bool:
        """Make a share unless it exists, and tell whether it was made now."""
        ...

    def metadata(self, share: str) -> Mapping[str, str] | None:
        """Return what is noted on a share; None where there is no such share."""
        ...

    def delete(self, share: str) -> None:
        """Delete a share with all that is on it; without effect where there is no such share."""
        ...

    def files(self, share: str, max_connections: int) -> Share:
        """Return the files of a share, so many of which are moved at a time."""
        ...


class AccountShares:
    """The file shares of one account, through azure-storage-file.

    Args:
        service: The client.
    """

    def __init__(self, service: "FileService") -> None:
        self._service = service

    def exists(self, share: str) -> bool:
        """Tell whether there is a share of a name."""
        return bool(self._service.exists(share))

    def create(self, share: str, metadata: Mapping[str, str]) -> bool:
        """Make a share unless it exists, and tell whether it was made now."""
        return bool(self._service.create_share(share, metadata=dict(metadata) or None))

    def metadata(self, share: str) -> Mapping[str, str] | None:
        """Return what is noted on a share; None where there is no such share."""
        from azure.common import AzureMissingResourceHttpError  # noqa: PLC0415 - on first use

        try:
            return dict(self._service.get_share_metadata(share) or {})
        except AzureMissingResourceHttpError:
            return None

    def delete(self, share: str) -> None:
        """Delete a share with all that is on it; without effect where there is no such share."""
        self._service.delete_share(share)

    def files(self, share: str, max_connections: int) -> ShareFiles:
        """Return the files of a share, so many of which are moved at a time."""
        return ShareFiles(self._service, share, max_connections)


def shares_of(connection: "Connection") -> FileShares:
    """Return the file shares of a connection's storage account.

    Args:
        connection: The connection.
    """
    return connection._shares()  # noqa: SLF001 - not for users, who have the client itself

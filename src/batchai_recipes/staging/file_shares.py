"""The file shares of an account as sessions use them, whichever client speaks to them."""

import copy
from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from batchai_recipes.staging.share_files import Created, Listing, ShareFiles

if TYPE_CHECKING:
    from azure.storage.common._http import HTTPRequest
    from azure.storage.file import FileService

    from batchai_recipes.connection import Connection


_EXPECTED: Final = ("ShareNotFound", "ShareBeingDeleted", "ConditionNotMet")


class Noted(NamedTuple):
    """What is noted on a share, and the entity tag of the state in which it was read."""

    metadata: Mapping[str, str]
    etag: str


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

    @property
    def takes_content(self) -> bool:
        """Whether the service is known to make files with what they hold in one request."""
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

    def rename(self, path: str, new_path: str, sha256: str) -> str | None:
        """Give a file another name, in place of a file that has it, and return its entity tag.

        The hash of what it holds is in its metadata. None where the service does not rename files.
        """
        ...

    def delete(self, path: str) -> None:
        """Delete a file; without effect where there is no such file."""
        ...

    def delete_directory(self, path: str) -> None:
        """Delete an empty directory; without effect where there is none, or one with files."""
        ...

    def unwritten_for(self, path: str) -> timedelta | None:
        """Tell how long a file was not written to, by the service's clock.

        None where there is no such file.
        """
        ...


class FileShares(Protocol):
    """The file shares of one account.

    What cannot be done is raised as the client's own exception.
    """

    def create(self, share: str, metadata: Mapping[str, str]) -> bool:
        """Make a share unless it exists, and tell whether it was made now."""
        ...

    def noted(self, share: str) -> "Noted | None":
        """Return what is noted on a share and its state; None where there is no such share."""
        ...

    def note(self, share: str, noted: "Noted") -> None:
        """Replace what is noted on a share, only in the state that is named."""
        ...

    def delete(self, share: str, etag: str = "") -> None:
        """Delete a share with all that is on it; without effect where there is no such share.

        With the entity tag of a state, only in that state.
        """
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

    def create(self, share: str, metadata: Mapping[str, str]) -> bool:
        """Make a share unless it exists, and tell whether it was made now."""
        return bool(self._service.create_share(share, metadata=dict(metadata) or None))

    def noted(self, share: str) -> Noted | None:
        """Return what is noted on a share and its state; None where there is no such share."""
        from azure.common import AzureMissingResourceHttpError  # noqa: PLC0415 - on first use

        try:
            known = self._in_state("").get_share_properties(share)
        except AzureMissingResourceHttpError:
            return None
        return Noted(dict(known.metadata or {}), known.properties.etag or "")

    def note(self, share: str, noted: Noted) -> None:
        """Replace what is noted on a share, only in the state that is named."""
        self._in_state(noted.etag).set_share_metadata(share, dict(noted.metadata))

    def delete(self, share: str, etag: str = "") -> None:
        """Delete a share with all that is on it; without effect where there is no such share."""
        self._in_state(etag).delete_share(share)

    def files(self, share: str, max_connections: int) -> ShareFiles:
        """Return the files of a share, so many of which are moved at a time."""
        return ShareFiles(self._service, share, max_connections)

    def _in_state(self, etag: str) -> "FileService":
        """Return the client with a condition on what it sends, for which it has no argument.

        It would log each refusal as an error, also those that are expected.
        """
        client = copy.copy(self._service)
        perform = client._perform_request  # noqa: SLF001 - the only place that takes them

        def quietly(
            *args: object, expected_errors: Sequence[str] = (), **options: object
        ) -> object:
            return perform(*args, expected_errors=(*expected_errors, *_EXPECTED), **options)

        # By their names, since the package declares neither as what may be replaced.
        vars(client)["_perform_request"] = quietly
        if etag:
            vars(client)["request_callback"] = partial(_add_condition, etag)
        return client


def _add_condition(etag: str, request: "HTTPRequest") -> None:
    request.headers["If-Match"] = etag


def shares_of(connection: "Connection") -> FileShares:
    """Return the file shares of a connection's storage account.

    Args:
        connection: The connection.
    """
    return connection._shares()  # noqa: SLF001 - not for users, who have the client itself

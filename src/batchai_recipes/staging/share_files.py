"""The files of one share: the client of azure-storage-file, with the entity tags it drops."""

import base64
import copy
import hashlib
import threading
from contextlib import suppress
from datetime import timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote
from xml.etree import ElementTree as ET

from attrs import frozen

if TYPE_CHECKING:
    from azure.storage.file import FileService

HASH_METADATA: Final = "batchai_sha256"
"""The name of the metadata of a file that holds the SHA-256 of what was staged."""

# From this version on a listing can tell entity tags.
_LISTING_VERSION: Final = "2020-10-02"
# The version whose client (azure-storage-file-share 12.27) makes files with content.
_CONTENT_VERSION: Final = "2026-10-06"
# The first version whose API renames files.
_RENAME_VERSION: Final = "2021-04-10"
NOT_RENAMED: Final = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_IMPLEMENTED})
"""What a service answers that does not rename files."""


@frozen
class ListedFile:
    """A file as the listing of its directory shows it.

    Args:
        size: Its size in bytes.
        etag: Its entity tag; None where the service does not tell it in listings.
    """

    size: int
    etag: str | None


@frozen
class Listing:
    """What a directory holds.

    Args:
        directories: The names of its directories.
        files: Its files by name.
    """

    directories: frozenset[str]
    files: dict[str, ListedFile]


@frozen
class Created:
    """A file that was just made.

    Args:
        etag: Its entity tag.
        has_content: Whether it holds what it should already, and not zeros.
    """

    etag: str
    has_content: bool


class ShareFiles:
    """Reads and writes one share, from several threads.

    The client drops the entity tags that the service answers, so this one listens to its answers
    through the client's documented callbacks, on a copy that shares its connections.

    Args:
        service: The client of the storage account.
        share: The share's name.
        max_connections: How many requests may be under way at a time.
    """

    def __init__(self, service: "FileService", share: str, max_connections: int) -> None:
        self.share = share
        self.max_connections = max_connections
        self._slots = threading.BoundedSemaphore(max_connections)
        self.range_size = int(service.MAX_RANGE_SIZE)
        self._answers = threading.local()
        self._takes_content: bool | None = None  # not known before it is tried
        self._renames = True
        client: Any = copy.copy(service)  # untyped: its callbacks seem to be None for ever
        client.request_callback = self._prepare
        client.response_callback = self._listen
        self._service: FileService = client

    def list(self, directory: str) -> Listing | None:
        """List a directory.

        Args:
            directory: Its path; empty for the share's root.

        Returns:
            What it holds; None where there is no such directory.
        """
        from azure.common import AzureMissingResourceHttpError  # noqa: PLC0415 - on first use

        self._answers.pages = []
        try:
            with self._slots:
                list(self._service.list_directories_and_files(self.share, directory or None))
            return _listing_of(self._answers.pages)
        except AzureMissingResourceHttpError:
            return None
        finally:
            self._answers.pages = None

    def create_directory(self, path: str) -> None:
        """Make a directory unless it exists."""
        with self._slots:
            self._service.create_directory(self.share, path)

    def read(self, path: str) -> bytes:
        """Return what a small file holds."""
        with self._slots:
            file = self._service.get_file_to_bytes(self.share, *_place(path), max_connections=1)
        return bytes(file.content)

    def etag(self, path: str) -> str | None:
        """Ask for a file's entity tag; None where there is no such file."""
        from azure.common import AzureMissingResourceHttpError  # noqa: PLC0415 - on first use

        try:
            with self._slots:
                self._service.get_file_properties(self.share, *_place(path))
        except AzureMissingResourceHttpError:
            return None
        return self._etag()

    def create(self, path: str, size: int, sha256: str | None = None) -> str:
        """Make a file of zeros, in place of one that is there.

        Args:
            path: Its path.
            size: Its size in bytes.
            sha256: The hash of what it will hold, where that is known.

        Returns:
            Its entity tag.
        """
        from azure.storage.file.models import SMBProperties  # noqa: PLC0415 - loaded on first use

        with self._slots:
            self._service.create_file(
                self.share,
                *_place(path),
                size,
                metadata={HASH_METADATA: sha256} if sha256 else None,
                # The client's default is one object for all calls, which keeps the first's time.
                smb_properties=SMBProperties(),
            )
        return self._etag()

    @property
    def takes_content(self) -> bool:
        """Whether the service is known to make files with what they hold in one request."""
        return bool(self._takes_content)

    def create_with(self, path: str, content: bytes, sha256: str) -> Created:
        """Make a file with what it holds in one request, where the service can do that.

        The API has it since long after this client. A service that took the content answers with
        its MD5. Where one does not, or refuses, no further file is tried so.

        Args:
            path: Its path.
            content: What it holds, not empty and not large.
            sha256: The hash of that.

        Returns:
            Its entity tag, and whether its content has to be sent yet with :meth:`write`.
        """
        from azure.common import AzureHttpError  # noqa: PLC0415 - loaded on first use

        if self._takes_content is False:
            return Created(self.create(path, len(content), sha256), has_content=False)
        md5 = base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode()
        self._answers.content = (content, md5)
        try:
            etag = self.create(path, len(content), sha256)
        except AzureHttpError as error:
            if error.status_code != HTTPStatus.BAD_REQUEST:
                raise
            etag = ""
        finally:
            self._answers.content = None
        self._takes_content = bool(etag) and self._answers.headers.get("content-md5") == md5
        if self._takes_content:
            return Created(etag, has_content=True)
        return Created(etag or self.create(path, len(content), sha256), has_content=False)

    def write(self, path: str, content: bytes, start: int) -> str:
        """Write bytes of a file.

        Args:
            path: Its path.
            content: The bytes, 4 MiB at most.
            start: Where they go.

        Returns:
            Its entity tag.
        """
        end = start + len(content) - 1
        with self._slots:
            self._service.update_range(self.share, *_place(path), content, start, end)
        return self._etag()

    def set_hash(self, path: str, sha256: str) -> str:
        """Record the hash of what a file holds in its metadata.

        Args:
            path: Its path.
            sha256: The hash.

        Returns:
            Its entity tag.
        """
        with self._slots:
            self._service.set_file_metadata(self.share, *_place(path), {HASH_METADATA: sha256})
        return self._etag()

    def rename(self, path: str, new_path: str, sha256: str) -> str | None:
        """Give a file another name, in place of a file that has it.

        The API has it since long after this client. Where a service refuses, no further file is
        tried so.

        Args:
            path: Its path.
            new_path: Its path from then on.
            sha256: The hash of what it holds, as its metadata has it.

        Returns:
            Its entity tag; None where the service does not rename files.
        """
        from azure.common import (  # noqa: PLC0415 - loaded on first use
            AzureHttpError,
            AzureMissingResourceHttpError,
        )

        if not self._renames:
            return None
        self._answers.source = self._service.make_file_url(self.share, *_place(path))
        try:
            with self._slots:
                # What is prepared makes another operation of it, for which there is no method.
                self._service.set_file_metadata(self.share, *_place(new_path))
        except AzureMissingResourceHttpError:
            if self._sha256(new_path) != sha256:
                raise
            return self._etag()  # it was renamed by a request whose answer was lost
        except AzureHttpError as error:
            if error.status_code not in NOT_RENAMED:
                raise
            self._renames = False
            return None
        finally:
            self._answers.source = None
        return self._etag()

    def delete(self, path: str) -> None:
        """Delete a file; without effect where there is no such file."""
        from azure.common import AzureMissingResourceHttpError  # noqa: PLC0415 - on first use

        with suppress(AzureMissingResourceHttpError), self._slots:
            self._service.delete_file(self.share, *_place(path))

    def delete_directory(self, path: str) -> None:
        """Delete an empty directory; without effect where there is none, or one with files."""
        from azure.common import AzureConflictHttpError  # noqa: PLC0415 - on first use

        with suppress(AzureConflictHttpError), self._slots:
            self._service.delete_directory(self.share, path)

    def unwritten_for(self, path: str) -> timedelta | None:
        """Tell how long a file was not written to, by the service's clock.

        Args:
            path: Its path.

        Returns:
            The time since; None where there is no such file.
        """
        if self.etag(path) is None:
            return None
        headers = self._answers.headers
        return pause_between(headers.get("last-modified"), headers.get("date"))

    def _sha256(self, path: str) -> str | None:
        if self.etag(path) is None:
            return None
        return str(self._answers.headers.get(f"x-ms-meta-{HASH_METADATA}"))

    def _prepare(self, request: Any) -> None:
        source = getattr(self._answers, "source", None)
        if source is not None and request.query.get("comp") == "metadata":
            request.query["comp"] = "rename"
            request.headers["x-ms-file-rename-source"] = source
            request.headers["x-ms-file-rename-replace-if-exists"] = "true"
            request.headers["x-ms-version"] = _RENAME_VERSION
        if request.query.get("comp") == "list":
            request.query["include"] = "Timestamps,ETag"
            request.headers["x-ms-file-extended-info"] = "true"
            request.headers["x-ms-version"] = _LISTING_VERSION
        content = getattr(self._answers, "content", None)
        if content is not None:
            request.body, request.headers["Content-MD5"] = content
            request.headers["Content-Length"] = str(len(request.body))
            request.headers["x-ms-version"] = _CONTENT_VERSION

    def _listen(self, response: Any) -> None:
        self._answers.headers = response.headers
        pages = getattr(self._answers, "pages", None)
        if pages is not None and response.status == HTTPStatus.OK:
            pages.append(response.body)

    def _etag(self) -> str:
        return _plain(self._answers.headers.get("etag", ""))


def pause_between(then: str | None, now: str | None) -> timedelta:
    """Return the time between two dates of HTTP; none where either is missing or no date.

    Args:
        then: The earlier one.
        now: The later one.

    Example:
        >>> pause_between("Tue, 24 Nov 2026 12:00:00 GMT", "Tue, 24 Nov 2026 12:00:30 GMT").seconds
        30
    """
    try:
        return parsedate_to_datetime(now or "") - parsedate_to_datetime(then or "")
    except (TypeError, ValueError):
        return timedelta()


def _place(path: str) -> tuple[str | None, str]:
    pure = PurePosixPath(path)
    return (str(pure.parent) if len(pure.parts) > 1 else None, pure.name)


def _listing_of(pages: list[bytes]) -> Listing:
    directories: set[str] = set()
    files: dict[str, ListedFile] = {}
    for page in pages:
        # The client itself reads these answers of the account's own service in the same way.
        entries = ET.fromstring(page).find("Entries")  # noqa: S314 - see above
        for entry in entries if entries is not None else ():
            name = _name(entry)
            if entry.tag == "Directory":
                directories.add(name)
            else:
                etag = entry.findtext("Properties/Etag")
                size = int(entry.findtext("Properties/Content-Length") or 0)
                files[name] = ListedFile(size, _plain(etag) if etag else None)
    return Listing(frozenset(directories), files)


def _name(entry: ET.Element) -> str:
    name = entry.find("Name")
    if name is None:
        return ""
    text = name.text or ""
    return unquote(text) if name.get("Encoded") == "true" else text


def _plain(etag: str) -> str:
    # Headers quote entity tags, listings need not.
    return etag.strip().strip('"')

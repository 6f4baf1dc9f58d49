"""The file shares of an account, through azure-storage-file-share's asynchronous client."""

import asyncio
import base64
import hashlib
import io
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import timedelta
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, TypeVar

from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.storage.fileshare import DirectoryProperties

from batchai_recipes.aio.fiber import wait_for
from batchai_recipes.staging.file_shares import Noted
from batchai_recipes.staging.share_files import (
    HASH_METADATA,
    NOT_RENAMED,
    Created,
    ListedFile,
    Listing,
    pause_between,
)

if TYPE_CHECKING:
    from azure.storage.fileshare.aio import ShareFileClient, ShareServiceClient

T = TypeVar("T")

_RANGE: Final = 4 << 20


class AccountShares:
    """The file shares of one account, as :class:`~batchai_recipes.staging.file_shares.FileShares`.

    Args:
        service: The client.
    """

    def __init__(self, service: "ShareServiceClient") -> None:
        self._service = service

    def create(self, share: str, metadata: Mapping[str, str]) -> bool:
        """Make a share unless it exists, and tell whether it was made now."""
        noted = dict(metadata) or None
        try:
            wait_for(lambda: self._service.create_share(share, metadata=noted))
        except ResourceExistsError:
            return False
        return True

    def noted(self, share: str) -> Noted | None:
        """Return what is noted on a share and its state; None where there is no such share."""
        client = self._service.get_share_client(share)
        try:
            properties = wait_for(client.get_share_properties)
        except ResourceNotFoundError:
            return None
        return Noted(dict(properties.metadata or {}), str(properties.etag or ""))

    def note(self, share: str, noted: Noted) -> None:
        """Replace what is noted on a share, only in the state that is named."""
        client = self._service.get_share_client(share)
        metadata, condition = dict(noted.metadata), _condition(noted.etag)
        wait_for(lambda: client.set_share_metadata(metadata, headers=condition))

    def delete(self, share: str, etag: str = "") -> None:
        """Delete a share with all that is on it; without effect where there is no such share."""
        with suppress(ResourceNotFoundError):
            wait_for(lambda: self._service.delete_share(share, headers=_condition(etag)))

    def files(self, share: str, max_connections: int) -> "ShareFiles":
        """Return the files of a share, so many of which are moved at a time."""
        return ShareFiles(self._service, share, max_connections)


class ShareFiles:
    """The files of one share, as :class:`~batchai_recipes.staging.file_shares.Share`.

    Args:
        service: The client of the storage account.
        share: The share's name.
        max_connections: How many requests may be under way at a time.
    """

    def __init__(self, service: "ShareServiceClient", share: str, max_connections: int) -> None:
        self.max_connections = max_connections
        self.range_size = _RANGE
        self._share = service.get_share_client(share)
        self._slots = asyncio.Semaphore(max_connections)
        self._takes_content: bool | None = None  # not known before it is tried
        self._renames = True

    def list(self, directory: str) -> Listing | None:
        """List a directory; None where there is no such directory."""
        try:
            return self._wait_for(partial(self._listed, directory))
        except ResourceNotFoundError:
            return None

    def create_directory(self, path: str) -> None:
        """Make a directory unless it exists."""
        with suppress(ResourceExistsError):
            self._wait_for(self._share.get_directory_client(path).create_directory)

    def read(self, path: str) -> bytes:
        """Return what a small file holds."""
        return self._wait_for(partial(_content, self._file(path)))

    def etag(self, path: str) -> str | None:
        """Ask for a file's entity tag; None where there is no such file."""
        try:
            properties = self._wait_for(self._file(path).get_file_properties)
        except ResourceNotFoundError:
            return None
        return _plain(properties.etag)

    def create(self, path: str, size: int, sha256: str | None = None) -> str:
        """Make a file of zeros in place of one that is there, and return its entity tag."""
        noted = {HASH_METADATA: sha256} if sha256 else None
        made = self._wait_for(lambda: self._file(path).create_file(size, metadata=noted))
        return _plain(made["etag"])

    @property
    def takes_content(self) -> bool:
        """Whether the service is known to make files with what they hold in one request."""
        return bool(self._takes_content)

    def create_with(self, path: str, content: bytes, sha256: str) -> Created:
        """Make a file with what it holds in one request, where the service can do that."""
        refuses = self._takes_content is False
        made = None if refuses else self._create_with(path, content, sha256)
        self._takes_content = made is not None and made.has_content
        return made or Created(self.create(path, len(content), sha256), has_content=False)

    def write(self, path: str, content: bytes, start: int) -> str:
        """Write bytes of a file from a place on, and return its entity tag."""
        # As a stream: aiohttp would hand all bytes to the socket at once, and do nothing else.
        send: Any = self._file(path).upload_range

        def ask() -> Any:
            # Each try reads the content from its beginning.
            return send(io.BytesIO(content), offset=start, length=len(content))

        return _plain(self._wait_for(ask)["etag"])

    def set_hash(self, path: str, sha256: str) -> str:
        """Record the hash of what a file holds in its metadata, and return its entity tag."""
        noted = {HASH_METADATA: sha256}
        changed = self._wait_for(lambda: self._file(path).set_file_metadata(noted))
        return _plain(changed["etag"])

    def rename(self, path: str, new_path: str, sha256: str) -> str | None:
        """Give a file another name, in place of a file that has it, and return its entity tag."""
        if not self._renames:
            return None
        etags: list[str] = []

        def note(response: Any) -> None:
            etags.append(_plain(response.http_response.headers.get("ETag")))

        rename = partial(
            self._file(path).rename_file, new_path, overwrite=True, raw_response_hook=note
        )
        try:
            self._wait_for(rename)
        except ResourceNotFoundError:
            with suppress(ResourceNotFoundError):
                properties = self._wait_for(self._file(new_path).get_file_properties)
                if properties.metadata.get(HASH_METADATA) == sha256:
                    return _plain(properties.etag)  # by a request whose answer was lost
            raise
        except HttpResponseError as error:
            if error.status_code not in NOT_RENAMED:
                raise
            self._renames = False
            return None
        # Once a try was cut off, the client no longer tells of the answer to the next one. A file
        # that is gone by now has no tag, so that it is sent again; it was renamed all the same.
        return etags[-1] if etags else self.etag(new_path) or ""

    def delete(self, path: str) -> None:
        """Delete a file; without effect where there is no such file."""
        with suppress(ResourceNotFoundError):
            self._wait_for(self._file(path).delete_file)

    def delete_directory(self, path: str) -> None:
        """Delete an empty directory; without effect where there is none, or one with files."""
        with suppress(ResourceNotFoundError, ResourceExistsError):
            self._wait_for(self._share.get_directory_client(path).delete_directory)

    def unwritten_for(self, path: str) -> timedelta | None:
        """Tell how long a file was not written to, by the service's clock."""
        pauses: list[timedelta] = []

        def note(response: Any) -> None:
            headers = response.http_response.headers
            pauses.append(pause_between(headers.get("Last-Modified"), headers.get("Date")))

        look = partial(self._file(path).get_file_properties, raw_response_hook=note)
        try:
            while not pauses:  # as above
                self._wait_for(look)
        except ResourceNotFoundError:
            return None
        return pauses[-1]

    def _create_with(self, path: str, content: bytes, sha256: str) -> Created | None:
        # A service that took the content answers with its MD5.
        md5 = hashlib.md5(content, usedforsecurity=False).digest()
        make = partial(
            self._file(path).create_file,
            len(content),
            metadata={HASH_METADATA: sha256},
            data=content,
            validate_content="md5",
        )
        try:
            made = self._wait_for(make)
        except HttpResponseError as error:
            if error.status_code != HTTPStatus.BAD_REQUEST:
                raise
            return None
        told = made.get("content_md5")
        told = base64.b64decode(told) if isinstance(told, str) else bytes(told or b"")
        return Created(_plain(made["etag"]), has_content=told == md5)

    async def _listed(self, directory: str) -> Listing:
        directories: set[str] = set()
        files: dict[str, ListedFile] = {}
        client = self._share.get_directory_client(directory)
        include = ["timestamps", "Etag"]
        async for entry in client.list_directories_and_files(include=include):
            if isinstance(entry, DirectoryProperties):
                directories.add(str(entry.name))
            else:
                etag = _plain(entry.etag) if entry.etag else None
                files[str(entry.name)] = ListedFile(int(entry.size or 0), etag)
        return Listing(frozenset(directories), files)

    def _file(self, path: str) -> "ShareFileClient":
        return self._share.get_file_client(path)

    def _wait_for(self, ask: Callable[[], Awaitable[T]]) -> T:
        return wait_for(partial(self._in_turn, ask))

    async def _in_turn(self, ask: Callable[[], Awaitable[T]]) -> T:
        async with self._slots:
            return await ask()


async def _content(file: "ShareFileClient") -> bytes:
    return bytes(await (await file.download_file(max_concurrency=1)).readall())


def _condition(etag: str) -> dict[str, str]:
    return {"If-Match": etag} if etag else {}


def _plain(etag: object) -> str:
    # Headers quote entity tags, listings need not.
    return str(etag or "").strip().strip('"')

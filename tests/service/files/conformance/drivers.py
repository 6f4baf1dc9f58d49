"""Azure's clients under one vocabulary, so that each case is written once for all of them."""

# ruff: noqa: D102 - Driver says what each of the methods does

import asyncio
import importlib
import inspect
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any, Protocol

import azure.storage
from attrs import field, frozen
from azure.common import AzureHttpError
from azure.core.exceptions import HttpResponseError
from azure.storage.file import ContentSettings, FileService

Metadata = Mapping[str, str]
NOTHING: Metadata = MappingProxyType({})
REFUSALS = (AzureHttpError, HttpResponseError)


class Driver(Protocol):
    """What every client can be asked to do."""

    def create_share(
        self, name: str, *, quota: int | None = None, metadata: Metadata = NOTHING
    ) -> None:
        """Create a share."""

    def delete_share(self, name: str) -> None:
        """Delete a share."""

    def shares(self, prefix: str = "") -> list[str]:
        """List the names of the shares."""

    def share(self, name: str) -> tuple[int, Metadata]:
        """Return a share's quota and metadata."""

    def set_share(self, name: str, *, quota: int, metadata: Metadata) -> None:
        """Change a share's quota and metadata."""

    def usage(self, name: str) -> int:
        """Return a share's usage in the client's own unit."""

    def create_directory(self, share: str, path: str, metadata: Metadata = NOTHING) -> None:
        """Create a directory."""

    def directory(self, share: str, path: str) -> Metadata:
        """Return a directory's metadata."""

    def set_directory(self, share: str, path: str, metadata: Metadata) -> None:
        """Change a directory's metadata."""

    def delete_directory(self, share: str, path: str) -> None:
        """Delete a directory."""

    def listing(self, share: str, path: str = "", prefix: str = "") -> set[tuple[str, int | None]]:
        """List a directory: names with sizes, None for a directory."""

    def create_file(self, share: str, path: str, size: int) -> None:
        """Create a file of zeros."""

    def upload(self, share: str, path: str, content: bytes, *, connections: int = 1) -> None:
        """Upload a file with the content type text/x-test and the metadata Kind=data."""

    def download(self, share: str, path: str, *, connections: int = 1) -> bytes:
        """Download a file."""

    def part(self, share: str, path: str, first: int, last: int) -> bytes:
        """Download a range of a file."""

    def file(self, share: str, path: str) -> tuple[int, str, Metadata]:
        """Return a file's size, content type and metadata."""

    def set_file(self, share: str, path: str, metadata: Metadata) -> None:
        """Change a file's metadata."""

    def resize(self, share: str, path: str, size: int) -> None:
        """Change a file's size."""

    def delete_file(self, share: str, path: str) -> None:
        """Delete a file."""

    def put(self, share: str, path: str, first: int, content: bytes) -> None:
        """Write a range."""

    def clear(self, share: str, path: str, first: int, last: int) -> None:
        """Clear a range."""

    def ranges(self, share: str, path: str) -> list[tuple[int, int]]:
        """List the ranges with data."""


def _split(path: str) -> tuple[str | None, str]:
    directory, _, name = path.rpartition("/")
    return directory or None, name


@frozen
class LegacyDriver:
    """azure-storage-file 2.1."""

    client: FileService

    def create_share(
        self, name: str, *, quota: int | None = None, metadata: Metadata = NOTHING
    ) -> None:
        self.client.create_share(name, metadata=dict(metadata), quota=quota, fail_on_exist=True)

    def delete_share(self, name: str) -> None:
        self.client.delete_share(name, fail_not_exist=True)

    def shares(self, prefix: str = "") -> list[str]:
        return [share.name for share in self.client.list_shares(prefix=prefix)]

    def share(self, name: str) -> tuple[int, Metadata]:
        share = self.client.get_share_properties(name)
        return share.properties.quota, dict(share.metadata)

    def set_share(self, name: str, *, quota: int, metadata: Metadata) -> None:
        self.client.set_share_properties(name, quota)
        self.client.set_share_metadata(name, dict(metadata))

    def usage(self, name: str) -> int:
        return int(self.client.get_share_stats_in_bytes(name))

    def create_directory(self, share: str, path: str, metadata: Metadata = NOTHING) -> None:
        self.client.create_directory(share, path, metadata=dict(metadata), fail_on_exist=True)

    def directory(self, share: str, path: str) -> Metadata:
        return dict(self.client.get_directory_properties(share, path).metadata)

    def set_directory(self, share: str, path: str, metadata: Metadata) -> None:
        self.client.set_directory_metadata(share, path, dict(metadata))

    def delete_directory(self, share: str, path: str) -> None:
        self.client.delete_directory(share, path, fail_not_exist=True)

    def listing(self, share: str, path: str = "", prefix: str = "") -> set[tuple[str, int | None]]:
        found = self.client.list_directories_and_files(share, path or None, prefix=prefix)
        return {(item.name, getattr(item.properties, "content_length", None)) for item in found}

    def create_file(self, share: str, path: str, size: int) -> None:
        self.client.create_file(share, *_split(path), size)

    def upload(self, share: str, path: str, content: bytes, *, connections: int = 1) -> None:
        self.client.create_file_from_bytes(
            share,
            *_split(path),
            content,
            content_settings=ContentSettings(content_type="text/x-test"),
            metadata={"Kind": "data"},
            max_connections=connections,
        )

    def download(self, share: str, path: str, *, connections: int = 1) -> bytes:
        got = self.client.get_file_to_bytes(share, *_split(path), max_connections=connections)
        content: bytes = got.content
        return content

    def part(self, share: str, path: str, first: int, last: int) -> bytes:
        got = self.client.get_file_to_bytes(
            share, *_split(path), start_range=first, end_range=last, max_connections=1
        )
        content: bytes = got.content
        return content

    def file(self, share: str, path: str) -> tuple[int, str, Metadata]:
        file = self.client.get_file_properties(share, *_split(path))
        settings = file.properties.content_settings
        return file.properties.content_length, settings.content_type, dict(file.metadata)

    def set_file(self, share: str, path: str, metadata: Metadata) -> None:
        self.client.set_file_metadata(share, *_split(path), dict(metadata))

    def resize(self, share: str, path: str, size: int) -> None:
        self.client.resize_file(share, *_split(path), size)

    def delete_file(self, share: str, path: str) -> None:
        self.client.delete_file(share, *_split(path))

    def put(self, share: str, path: str, first: int, content: bytes) -> None:
        self.client.update_range(share, *_split(path), content, first, first + len(content) - 1)

    def clear(self, share: str, path: str, first: int, last: int) -> None:
        self.client.clear_range(share, *_split(path), first, last)

    def ranges(self, share: str, path: str) -> list[tuple[int, int]]:
        return [(part.start, part.end) for part in self.client.list_ranges(share, *_split(path))]


@frozen
class ShareDriver:
    """azure-storage-file-share, sync or aio: an awaitable is awaited wherever one comes back."""

    module: ModuleType
    models: ModuleType
    connection_string: str
    loop: asyncio.AbstractEventLoop = field(factory=asyncio.new_event_loop)
    opened: list[Any] = field(factory=list)

    def close(self) -> None:
        """Close what was opened."""
        for client in self.opened:
            self.do(client.close() if hasattr(client, "close") else client.__exit__())
        # Transports of aiohttp say goodbye in the loop's next turns.
        self.loop.run_until_complete(asyncio.sleep(0))
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.close()

    def do(self, result: Any) -> Any:
        """Return a result, awaited where it must be."""
        if inspect.isawaitable(result):
            return self.loop.run_until_complete(_awaited(result))
        return result

    def all(self, pages: Any) -> list[Any]:
        """Return all items of a listing."""
        if hasattr(pages, "__aiter__"):
            return list(self.loop.run_until_complete(_collected(pages)))
        return list(pages)

    def _opened(self, client: Any) -> Any:
        self.opened.append(client)
        return client

    def of_service(self) -> Any:
        """Return a client of the account."""
        make = self.module.ShareServiceClient.from_connection_string
        return self._opened(make(self.connection_string, retry_total=0))

    def of_share(self, share: str) -> Any:
        """Return a client of a share."""
        make = self.module.ShareClient.from_connection_string
        return self._opened(make(self.connection_string, share, retry_total=0))

    def of_directory(self, share: str, path: str) -> Any:
        """Return a client of a directory."""
        make = self.module.ShareDirectoryClient.from_connection_string
        return self._opened(make(self.connection_string, share, path, retry_total=0))

    def of_file(self, share: str, path: str) -> Any:
        """Return a client of a file."""
        make = self.module.ShareFileClient.from_connection_string
        return self._opened(make(self.connection_string, share, path, retry_total=0))

    def create_share(
        self, name: str, *, quota: int | None = None, metadata: Metadata = NOTHING
    ) -> None:
        self.do(self.of_share(name).create_share(metadata=dict(metadata), quota=quota))

    def delete_share(self, name: str) -> None:
        self.do(self.of_share(name).delete_share())

    def shares(self, prefix: str = "") -> list[str]:
        return [share.name for share in self.all(self.of_service().list_shares(prefix))]

    def share(self, name: str) -> tuple[int, Metadata]:
        share = self.do(self.of_share(name).get_share_properties())
        return share.quota, dict(share.metadata)

    def set_share(self, name: str, *, quota: int, metadata: Metadata) -> None:
        client = self.of_share(name)
        self.do(client.set_share_quota(quota))
        self.do(client.set_share_metadata(dict(metadata)))

    def usage(self, name: str) -> int:
        return int(self.do(self.of_share(name).get_share_stats()))

    def create_directory(self, share: str, path: str, metadata: Metadata = NOTHING) -> None:
        self.do(self.of_directory(share, path).create_directory(metadata=dict(metadata)))

    def directory(self, share: str, path: str) -> Metadata:
        return dict(self.do(self.of_directory(share, path).get_directory_properties()).metadata)

    def set_directory(self, share: str, path: str, metadata: Metadata) -> None:
        self.do(self.of_directory(share, path).set_directory_metadata(dict(metadata)))

    def delete_directory(self, share: str, path: str) -> None:
        self.do(self.of_directory(share, path).delete_directory())

    def listing(self, share: str, path: str = "", prefix: str = "") -> set[tuple[str, int | None]]:
        found = self.all(self.of_directory(share, path).list_directories_and_files(prefix))
        return {(item["name"], None if item["is_directory"] else item["size"]) for item in found}

    def create_file(self, share: str, path: str, size: int) -> None:
        self.do(self.of_file(share, path).create_file(size))

    def upload(self, share: str, path: str, content: bytes, *, connections: int = 1) -> None:
        self.do(
            self.of_file(share, path).upload_file(
                content,
                metadata={"Kind": "data"},
                content_settings=self.models.ContentSettings(content_type="text/x-test"),
                max_concurrency=connections,
            )
        )

    def download(self, share: str, path: str, *, connections: int = 1) -> bytes:
        stream = self.do(self.of_file(share, path).download_file(max_concurrency=connections))
        content: bytes = self.do(stream.readall())
        return content

    def part(self, share: str, path: str, first: int, last: int) -> bytes:
        stream = self.do(
            self.of_file(share, path).download_file(offset=first, length=last - first + 1)
        )
        content: bytes = self.do(stream.readall())
        return content

    def file(self, share: str, path: str) -> tuple[int, str, Metadata]:
        file = self.do(self.of_file(share, path).get_file_properties())
        return file.size, file.content_settings.content_type, dict(file.metadata)

    def set_file(self, share: str, path: str, metadata: Metadata) -> None:
        self.do(self.of_file(share, path).set_file_metadata(dict(metadata)))

    def resize(self, share: str, path: str, size: int) -> None:
        self.do(self.of_file(share, path).resize_file(size))

    def delete_file(self, share: str, path: str) -> None:
        self.do(self.of_file(share, path).delete_file())

    def put(self, share: str, path: str, first: int, content: bytes) -> None:
        self.do(self.of_file(share, path).upload_range(content, first, len(content)))

    def clear(self, share: str, path: str, first: int, last: int) -> None:
        self.do(self.of_file(share, path).clear_range(first, last - first + 1))

    def ranges(self, share: str, path: str) -> list[tuple[int, int]]:
        client = self.of_file(share, path)
        if hasattr(client, "list_ranges"):
            return [(part.start, part.end) for part in self.all(client.list_ranges())]
        return [(part["start"], part["end"]) for part in self.do(client.get_ranges())]


async def _awaited(result: Any) -> Any:
    return await result


async def _collected(pages: Any) -> list[Any]:
    return [item async for item in pages]


@contextmanager
def _first_in_namespace(folder: Path) -> Iterator[None]:
    hidden = {
        name: sys.modules.pop(name)
        for name in list(sys.modules)
        if name.startswith("azure.storage.fileshare")
    }
    path = list(azure.storage.__path__)
    azure.storage.__path__ = [str(folder / "azure" / "storage"), *path]
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        azure.storage.__path__ = path
        for name in list(sys.modules):
            if name.startswith("azure.storage.fileshare"):
                del sys.modules[name]
        sys.modules.update(hidden)


def release_in(folder: Path | None) -> tuple[ModuleType, ModuleType]:
    """Import a release of azure-storage-file-share.

    Args:
        folder: Where ``pip install --no-deps -t`` put it; None for the installed one.

    Returns:
        Its modules for sync and for aio.
    """
    if folder is None:
        return _import_release()
    with _first_in_namespace(folder):
        return _import_release()


def _import_release() -> tuple[ModuleType, ModuleType]:
    return (
        importlib.import_module("azure.storage.fileshare"),
        importlib.import_module("azure.storage.fileshare.aio"),
    )

"""A file share, through azure-storage-file-share."""

import re
import uuid
from contextlib import suppress
from datetime import datetime, timezone
from typing import Any, BinaryIO

from azure.core.exceptions import (
    HttpResponseError,
    ResourceExistsError,
    ResourceNotFoundError,
)
from azure.storage.fileshare import ExponentialRetry, FileProperties, ShareClient, ShareFileClient

from batchai_recipes.volume_sync.connection import CONCURRENCY, client_settings, unquoted
from batchai_recipes.volume_sync.crew import Crew
from batchai_recipes.volume_sync.names import problem_of
from batchai_recipes.volume_sync.remote_volume import Listing, RemoteFile
from batchai_recipes.volume_sync.request import VolumeRequest

_PART = re.compile(r"\.batchai-([0-9a-f]{12})-[0-9a-f]{32}\.part")
_FORBIDDEN = re.compile(r'["\\:|<>*?\x00-\x1f\x7f]')
_LONGEST_NAME = 255
_LONGEST_PATH = 2048


class AzureFileShare:
    """A share of Azure Files, or of another server that speaks its protocol.

    Args:
        volume: Which share, and its account's key.

    Raises:
        ValueError: The key or the endpoint cannot be one.
    """

    implies_directories = False

    def __init__(self, volume: VolumeRequest) -> None:
        retry = ExponentialRetry(
            initial_backoff=1, increment_base=2, retry_total=4, random_jitter_range=1
        )
        self._share = ShareClient(share_name=volume.name, **client_settings(volume, retry))
        # Two copies of one share each know their own unfinished uploads, and leave the others'.
        self._own = uuid.uuid5(uuid.NAMESPACE_URL, str(volume.folder)).hex[:12]

    def check(self) -> None:
        """Ask for the share's properties."""
        self._share.get_share_properties(retry_total=1)

    def listing(self) -> Listing:
        """List the share, directory by directory, several at once."""
        found = Listing()
        pending = [""]
        with Crew() as crew:
            while pending:
                below: list[str] = []
                for directory, entries in crew.each(self._entries, pending):
                    for entry in entries:
                        self._note(directory, entry, found, below)
                pending = below
        return found

    def look(self, path: str) -> RemoteFile | None:
        """Return a file, or None where there is none."""
        try:
            return _remote(path, self._file(path).get_file_properties())
        except ResourceNotFoundError:
            return None

    def download(self, path: str, target: BinaryIO) -> RemoteFile:
        """Write a file's content into an open file."""
        stream = self._file(path).download_file(max_concurrency=CONCURRENCY, decompress=False)
        stream.readinto(target)
        return _remote(path, stream.properties)

    def upload(
        self, path: str, source: BinaryIO, size: int, modified_ns: int, replaced: RemoteFile | None
    ) -> RemoteFile:
        """Upload beside the place, then rename: readers see the old file or the new one."""
        del replaced  # Azure Files knows no conditions on what is renamed over
        directory = path.rpartition("/")[0]
        part = f".batchai-{self._own}-{uuid.uuid4().hex}.part"
        beside = self._file(f"{directory}/{part}" if directory else part)
        written = datetime.fromtimestamp(modified_ns / 1e9, timezone.utc)
        try:
            beside.upload_file(source, length=size, max_concurrency=CONCURRENCY)
            beside.rename_file(path, overwrite=True, file_last_write_time=written)
        except BaseException:
            with suppress(HttpResponseError):
                beside.delete_file()
            raise
        return _remote(path, self._file(path).get_file_properties())

    def delete(self, file: RemoteFile) -> None:
        """Delete a file."""
        with suppress(ResourceNotFoundError):
            self._file(file.path).delete_file()

    def make_directory(self, path: str) -> None:
        """Make a directory, if it is not there yet."""
        with suppress(ResourceExistsError):
            self._share.get_directory_client(path).create_directory()

    def remove_directory(self, path: str) -> None:
        """Remove a directory if it is there and empty."""
        try:
            self._share.get_directory_client(path).delete_directory()
        except HttpResponseError as error:
            if error.status_code not in {404, 409}:
                raise

    def problem_of(self, path: str) -> str:
        """Say why Azure Files cannot hold a path of that name."""
        parts = path.split("/")
        for part in parts:
            if _FORBIDDEN.search(part):
                return f"Azure Files allows no name like {part!r}"
            if part.endswith((".", " ")):
                return f"Azure Files allows no name that ends like {part!r}"
            if len(part.encode("utf-16-le")) // 2 > _LONGEST_NAME:
                return f"Azure Files allows no names longer than {_LONGEST_NAME} characters"
        if len(path) > _LONGEST_PATH:
            return f"Azure Files allows no paths longer than {_LONGEST_PATH} characters"
        return ""

    def folded(self, path: str) -> str:
        """Names of Azure Files differ by more than case."""
        return path.casefold()

    def _file(self, path: str) -> ShareFileClient:
        return self._share.get_file_client(path)

    def _entries(self, directory: str) -> list[Any]:
        client = self._share.get_directory_client(directory)
        try:
            return list(client.list_directories_and_files(include=["timestamps", "Etag"]))
        except ResourceNotFoundError:
            if not directory:
                raise  # it is the share itself that is gone
            return []  # deleted while the share was listed

    def _note(self, directory: str, entry: Any, found: Listing, below: list[str]) -> None:
        path = f"{directory}/{entry.name}" if directory else str(entry.name)
        part = _PART.fullmatch(entry.name)
        problem = problem_of(path)
        if part is not None:
            if part[1] == self._own:
                self.delete(_remote(path, entry))
        elif problem:
            found.skipped[path] = problem
        elif entry.is_directory:
            found.directories.add(path)
            below.append(path)
        else:
            found.files[path] = _remote(path, entry)


def _remote(path: str, known: FileProperties) -> RemoteFile:
    changed = _moment(known.last_modified) or datetime.fromtimestamp(0, timezone.utc)
    # Old servers list no ETags: then size and time tell versions apart.
    version = unquoted(known.etag) or f"{known.size}@{changed.isoformat()}"
    return RemoteFile(path, known.size, version, changed, _moment(known.last_write_time) or changed)


def _moment(value: datetime | str | None) -> datetime | None:
    if isinstance(value, str):
        # Listings write seven digits of a second's fraction, and Python reads six.
        text, _, fraction = value.removesuffix("Z").partition(".")
        value = datetime.fromisoformat(f"{text}.{fraction[:6]:0<6}")
    if value is None:
        return None
    return value if value.tzinfo else value.replace(tzinfo=timezone.utc)

"""A blob container, through azure-storage-blob."""

from contextlib import suppress
from typing import Any, BinaryIO

from azure.core import MatchConditions
from azure.core.exceptions import (
    HttpResponseError,
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
)
from azure.storage.blob import BlobClient, BlobProperties, ContainerClient, ExponentialRetry

from batchai_recipes.volume_sync.connection import CONCURRENCY, client_settings, unquoted
from batchai_recipes.volume_sync.names import clashing, problem_of
from batchai_recipes.volume_sync.remote_volume import Listing, RemoteFile
from batchai_recipes.volume_sync.request import VolumeRequest
from batchai_recipes.volume_sync.sync_error import ChangedMeanwhileError

_FOLDER_MARK = "hdi_isfolder"
_LONGEST_NAME = 1024


class AzureBlobContainer:
    """A container of Azure Blob Storage, or of another server that speaks its protocol.

    Names with ``/`` are taken for paths, as blobfuse does. A directory is what a blob's name
    implies, or a blob of the same name marked with blobfuse's metadata ``hdi_isfolder``.

    Args:
        volume: Which container, and its account's key.

    Raises:
        ValueError: The key or the endpoint cannot be one.
    """

    implies_directories = True

    def __init__(self, volume: VolumeRequest) -> None:
        retry = ExponentialRetry(
            initial_backoff=1, increment_base=2, retry_total=4, random_jitter_range=1
        )
        self._container = ContainerClient(
            container_name=volume.name, **client_settings(volume, retry)
        )

    def check(self) -> None:
        """Ask for the container's properties."""
        self._container.get_container_properties(retry_total=1)

    def listing(self) -> Listing:
        """List the container; names that cannot be paths are told with the reason."""
        found = Listing()
        for blob in self._container.list_blobs(include=["metadata"]):
            self._note(blob, found)
        for path in clashing(found.files, found.directories):
            del found.files[path]
            found.skipped[path] = "other blobs lie in a directory of that name"
        return found

    def look(self, path: str) -> RemoteFile | None:
        """Return a blob, or None where there is none."""
        try:
            return _remote(path, self._blob(path).get_blob_properties())
        except ResourceNotFoundError:
            return None

    def download(self, path: str, target: BinaryIO) -> RemoteFile:
        """Write a blob's content, as it is stored, into an open file."""
        stream = self._blob(path).download_blob(max_concurrency=CONCURRENCY, decompress=False)
        stream.readinto(target)
        return _remote(path, stream.properties)

    def upload(
        self, path: str, source: BinaryIO, size: int, modified_ns: int, replaced: RemoteFile | None
    ) -> RemoteFile:
        """Write a block blob; it takes the place of what was there when all of it has arrived."""
        del modified_ns  # a blob has no time of its own
        condition: dict[str, Any] = {"match_condition": MatchConditions.IfMissing}
        if replaced is not None:
            condition = {
                "etag": f'"{replaced.version}"',
                "match_condition": MatchConditions.IfNotModified,
            }
        blob = self._blob(path)
        try:
            blob.upload_blob(
                source, length=size, overwrite=True, max_concurrency=CONCURRENCY, **condition
            )
        except (ResourceModifiedError, ResourceExistsError) as error:
            raise ChangedMeanwhileError(path) from error
        return _remote(path, blob.get_blob_properties())

    def delete(self, file: RemoteFile) -> None:
        """Delete a blob with its snapshots, unless it has changed."""
        with suppress(ResourceNotFoundError, ResourceModifiedError):
            self._blob(file.path).delete_blob(
                delete_snapshots="include",
                etag=f'"{file.version}"',
                match_condition=MatchConditions.IfNotModified,
            )

    def make_directory(self, path: str) -> None:
        """Mark a directory as blobfuse does, so that an empty one is kept."""
        with suppress(ResourceExistsError):
            self._blob(path).upload_blob(b"", metadata={_FOLDER_MARK: "true"}, overwrite=False)

    def remove_directory(self, path: str) -> None:
        """Remove the mark of a directory; what lies in it stays."""
        try:
            known = self._blob(path).get_blob_properties()
            if _is_folder(known):
                self._blob(path).delete_blob()
        except HttpResponseError as error:
            # With hierarchical namespaces a directory that is not empty cannot be deleted (409).
            if error.status_code not in {404, 409}:
                raise

    def problem_of(self, path: str) -> str:
        """Say why a container cannot hold a blob of that name."""
        if len(path) > _LONGEST_NAME:
            return f"names of blobs are no longer than {_LONGEST_NAME} characters"
        if path.endswith("."):
            return "names of blobs must not end with a dot"
        return ""

    def folded(self, path: str) -> str:
        """Names of blobs that differ in case are different."""
        return path

    def _blob(self, path: str) -> BlobClient:
        return self._container.get_blob_client(path)

    def _note(self, blob: BlobProperties, found: Listing) -> None:
        # Some tools mark a directory by an empty blob whose name ends with a slash.
        path = blob.name.removesuffix("/") if not blob.size else blob.name
        is_folder = _is_folder(blob) or path != blob.name
        problem = problem_of(path)
        if problem:
            found.skipped[blob.name] = problem
        elif is_folder:
            found.directories.add(path)
        elif str(blob.blob_tier or "").lower() == "archive":
            found.skipped[path] = "it is in the archive tier: rehydrate it first"
        else:
            found.files[path] = _remote(path, blob)


def _is_folder(blob: BlobProperties) -> bool:
    marks = {name.lower(): value for name, value in (blob.metadata or {}).items()}
    return str(marks.get(_FOLDER_MARK, "")).lower() == "true"


def _remote(path: str, known: BlobProperties) -> RemoteFile:
    changed = known.last_modified
    return RemoteFile(path, known.size, unquoted(known.etag), changed, changed)

"""Moving what a staging names to its share, several files at a time."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

from batchai_recipes.errors import StagingError
from batchai_recipes.refusals import explained
from batchai_recipes.staging.file_share_staging import FileShareStaging, StagedFile

if TYPE_CHECKING:
    from azure.storage.file import FileService

_FILES_AT_A_TIME: Final = 4
_RANGES_AT_A_TIME: Final = 4


def create_share(service: "FileService", share: str) -> bool:
    """Create a file share unless it exists.

    Args:
        service: The client of the storage account.
        share: The share's name.

    Returns:
        Whether it was made now.

    Raises:
        StagingError: The service refused or did not answer.
    """
    with explained(f"create file share {share}", StagingError):
        return bool(service.create_share(share))


def upload(
    service: "FileService", staging: FileShareStaging, report: Callable[[str], None]
) -> None:
    """Create the directories of a staging on its share and upload its files.

    Args:
        service: The client of the storage account.
        staging: What goes to the share, which exists.
        report: Told of each uploaded file.

    Raises:
        StagingError: The service refused or did not answer, or a local file changed its size or
            went away since it was named.
    """
    for directory in _with_parents(staging):
        with explained(f"create directory {directory} on share {staging.share}", StagingError):
            service.create_directory(staging.share, directory)
    pool = ThreadPoolExecutor(_FILES_AT_A_TIME, thread_name_prefix="batchai-upload")
    try:
        uploads = [pool.submit(_upload_file, service, staging.share, f) for f in staging.files]
        for file, done in zip(staging.files, uploads, strict=True):
            done.result()
            report(f"Uploaded {file.path} ({file.size:,} bytes)")
    finally:
        pool.shutdown(cancel_futures=True)


def _with_parents(staging: FileShareStaging) -> list[str]:
    directories: dict[str, None] = {}
    for directory in staging.directories:
        path = PurePosixPath(directory)
        for parent in reversed(path.parents[:-1]):
            directories[str(parent)] = None
        directories[directory] = None
    return list(directories)


def _upload_file(service: "FileService", share: str, file: StagedFile) -> None:
    try:
        size = file.source.stat().st_size
    except OSError as error:
        raise StagingError(f"Cannot upload {file.source}: {error.strerror}") from error
    with explained(f"upload {file.source} to share {share} as {file.path}", StagingError):
        service.create_file_from_path(
            share,
            file.directory or None,
            file.source.name,
            str(file.source),
            max_connections=_RANGES_AT_A_TIME if size > service.MAX_RANGE_SIZE else 1,
        )

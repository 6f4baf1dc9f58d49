"""What headers tell of a file or directory on disk, in the words of SMB."""

import stat
from datetime import datetime
from typing import Final

from batchai_recipes.service.files.call import Call
from batchai_recipes.service.files.entries import Properties
from batchai_recipes.service.files.stamps import moment_of

# Clients older than this do not know the headers.
_SINCE: Final = "2019-02-02"


def disk_headers(call: Call, known: Properties) -> tuple[tuple[str, str], ...]:
    """Return the headers for a client that knows them.

    A file has no creation time here: Linux tells none to Python.

    Args:
        call: The request.
        known: What is known of the file or directory.
    """
    if call.version < _SINCE:
        return ()
    directory = stat.S_ISDIR(known.status.st_mode)
    return (
        ("x-ms-file-attributes", "Directory" if directory else "Archive"),
        ("x-ms-file-last-write-time", long_timestamp(moment_of(known.status.st_mtime_ns))),
        ("x-ms-file-change-time", long_timestamp(moment_of(known.status.st_ctime_ns))),
        ("x-ms-file-id", str(known.status.st_ino)),
        ("x-ms-server-encrypted", "false"),
    )


def long_timestamp(moment: datetime) -> str:
    """Write a time as Azure Files does: UTC with exactly seven digits of a second, and ``Z``.

    Args:
        moment: The time, in UTC.

    Example:
        >>> from datetime import timezone
        >>> long_timestamp(datetime(2024, 1, 2, 3, 4, 5, 123456, tzinfo=timezone.utc))
        '2024-01-02T03:04:05.1234560Z'
    """
    return f"{moment:%Y-%m-%dT%H:%M:%S.%f}0Z"

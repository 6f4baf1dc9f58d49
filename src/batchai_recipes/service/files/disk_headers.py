"""What headers tell of a file or directory on disk, in the words of SMB."""

import stat
from typing import Final

from batchai_recipes.service.files.call import Call
from batchai_recipes.service.files.entries import Properties
from batchai_recipes.service.files.stamps import long_timestamp, moment_of

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

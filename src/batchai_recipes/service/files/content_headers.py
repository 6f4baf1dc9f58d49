"""The content headers of a file: what clients store with it and get back with its bytes."""

from collections.abc import Mapping
from typing import Final

from batchai_recipes.service.files.content_md5 import MD5, decode_md5

DEFAULT_TYPE: Final = "application/octet-stream"
_STORED: Final = {
    "x-ms-cache-control": "Cache-Control",
    "x-ms-content-disposition": "Content-Disposition",
    "x-ms-content-encoding": "Content-Encoding",
    "x-ms-content-language": "Content-Language",
    "x-ms-content-md5": MD5,
    "x-ms-content-type": "Content-Type",
}


def read_content_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Collect the content headers that a request asks to store.

    Args:
        headers: The request's headers by lower-case name.

    Returns:
        The values by the name that answers give them; empty where the request names none.

    Raises:
        FileServiceError: The MD5 is none.

    Example:
        >>> read_content_headers({"x-ms-content-type": "text/plain"})
        {'Content-Type': 'text/plain'}
    """
    stored = {
        name: headers[request_name]
        for request_name, name in _STORED.items()
        if headers.get(request_name)
    }
    if MD5 in stored:
        decode_md5(stored[MD5])
    return stored

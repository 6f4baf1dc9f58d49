"""JSON documents, as they are answered and as they are recorded."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

import orjson
from starlette.responses import Response

_TYPE: Final = (b"content-type", b"application/json")

read_record = orjson.loads
"""Reads a document that the records hold."""


class JSONResponse(Response):
    """An answer that is a JSON document.

    Starlette's own is slower, both in writing JSON and in looking through headers for what it adds;
    a page of a list is a thousand documents.

    Args:
        content: The document.
        status_code: The HTTP status.
        headers: Further headers.

    Example:
        >>> JSONResponse({"value": []}, headers={"ETag": "x"}).raw_headers[2:]
        [(b'etag', b'x')]
    """

    def __init__(
        self,
        content: Any,
        status_code: int = HTTPStatus.OK,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.status_code = int(status_code)
        self.background = None
        self.body = orjson.dumps(content)
        self.raw_headers = [(b"content-length", b"%d" % len(self.body)), _TYPE]
        for name, value in (headers or {}).items():
            self.raw_headers.append((name.lower().encode("latin-1"), value.encode("latin-1")))

"""What the service answers, before the web server sends it."""

import re
import time
from collections.abc import Mapping
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from io import FileIO
from typing import Final

from attrs import field, frozen

from batchai_recipes.service.files.byte_range import ByteRange
from batchai_recipes.service.files.call import NEWEST_KNOWN_VERSION, Call
from batchai_recipes.service.files.entries import Properties
from batchai_recipes.service.files.errors import ErrorCode, FileServiceError
from batchai_recipes.service.files.xml_documents import error_document

XML: Final = "application/xml"

_UNSENDABLE: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


@frozen
class FilePart:
    """A part of an open file, sent as it is read.

    Args:
        file: The file; closed once sent.
        part: Which part of it; None for nothing.
    """

    file: FileIO
    part: ByteRange | None

    @property
    def bounds(self) -> tuple[int, int]:
        """Where it starts, and where the first byte after it is."""
        return (self.part.start, self.part.end + 1) if self.part else (0, 0)


@frozen
class Answer:
    """An answer.

    Args:
        status: The HTTP status.
        headers: Headers in order; a later one of a name replaces an earlier one.
        content: What follows them.
        length: The Content-Length where it is not that of the content: a HEAD of a file.
    """

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    content: bytes | FilePart = field(default=b"", repr=False)
    length: int | None = None

    def with_headers(self, headers: Mapping[str, str]) -> "Answer":
        """Return the answer with more headers.

        Args:
            headers: The headers; they replace those of the same name.
        """
        if not headers:
            return self
        every = (*self.headers, *headers.items())
        return Answer(self.status, every, self.content, self.length)


def xml_answer(document: bytes, headers: tuple[tuple[str, str], ...] = ()) -> Answer:
    """Return an answer that carries a document.

    Args:
        document: The document.
        headers: More headers.
    """
    return Answer(200, (("Content-Type", XML), *headers), document)


def version_headers(known: Properties) -> tuple[tuple[str, str], ...]:
    """Return the headers that tell one state of a file or directory from another.

    Args:
        known: What is known of it.
    """
    return (
        ("ETag", known.etag),
        ("Last-Modified", _http_date(int(known.last_modified.timestamp()))),
    )


def refusal_answer(error: FileServiceError, call: Call, time: str) -> Answer:
    """Return the answer that refuses a request.

    Args:
        error: The refusal.
        call: The request.
        time: The time of day, for the message.
    """
    document = error_document(
        error.code.text,
        f"{error.message}\nRequestId:{call.request_id}\nTime:{time}",
        error.details,
    )
    if error.code is ErrorCode.NOT_MODIFIED:  # which has no body
        document = b""
    headers = (
        ("Content-Type", XML),
        # The only place for the code in the answer to a HEAD, which has no document.
        ("x-ms-error-code", error.code.text),
        *error.headers.items(),
    )
    return Answer(error.code.status, headers, document)


def bug_answer(call: Call, time: str) -> Answer:
    """Return the answer to a request that met a bug of the service.

    Args:
        call: The request.
        time: The time of day, for the message.
    """
    error = FileServiceError(
        ErrorCode.INTERNAL_ERROR,
        "The file service has a bug. Its log holds the details under this request's id.",
    )
    return refusal_answer(error, call, time)


def common_headers(call: Call) -> dict[str, str]:
    """Return the headers that every answer has.

    Args:
        call: The request that is answered.
    """
    try:
        version = call.version
    except FileServiceError:
        version = NEWEST_KNOWN_VERSION
    headers = {"x-ms-request-id": call.request_id, "x-ms-version": version}
    client_request_id = call.headers.get("x-ms-client-request-id")
    if client_request_id is not None:
        headers["x-ms-client-request-id"] = client_request_id
    return headers


def wire_head(answer: Answer, *, keep_alive: bool) -> bytes:
    """Return the first lines of an answer in the form in which HTTP/1.1 sends them.

    Args:
        answer: The answer.
        keep_alive: Whether the connection may be used again.
    """
    content = answer.content
    if isinstance(content, FilePart):
        start, end = content.bounds
        length = end - start
    else:
        length = len(content)
    if answer.length is not None:
        length = answer.length
    latest = {name.lower(): (name, value) for name, value in answer.headers}
    latest["content-length"] = ("Content-Length", str(length))
    if not keep_alive:
        latest["connection"] = ("Connection", "close")
    lines = [f"{name}: {value}" for name, value in latest.values()]
    # Values may come out of a SAS, where `%0d%0a` could begin another header.
    if _UNSENDABLE.search("\t".join(lines)):
        lines = [_UNSENDABLE.sub("", line) for line in lines]
    status = _STATUS_LINES.get(answer.status) or _status_line(answer.status)
    text = "\r\n".join([status, f"Date: {_http_date(int(time.time()))}", *lines])
    try:
        raw = text.encode("latin-1")  # as it came in
    except UnicodeEncodeError:
        raw = text.encode()
    return raw + b"\r\n\r\n"


def _status_line(status: int) -> str:
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = ""
    return f"HTTP/1.1 {status} {phrase}"


_STATUS_LINES: Final = {status.value: _status_line(status) for status in HTTPStatus}


@lru_cache(maxsize=1024)
def _http_date(second: int) -> str:
    return formatdate(second, usegmt=True)

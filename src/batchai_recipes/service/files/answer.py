"""What the service answers, before the web server sends it."""

import os
import re
from collections.abc import Mapping
from email.utils import format_datetime
from io import FileIO
from typing import Final

from attrs import evolve, field, frozen
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from batchai_recipes.service.files.byte_range import ByteRange
from batchai_recipes.service.files.call import NEWEST_KNOWN_VERSION, Call
from batchai_recipes.service.files.entries import Properties
from batchai_recipes.service.files.errors import ErrorCode, FileServiceError
from batchai_recipes.service.files.metadata import PREFIX
from batchai_recipes.service.files.xml_documents import error_document

XML: Final = "application/xml"
CHUNK: Final = 512 * 1024

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
        return evolve(self, headers=(*self.headers, *headers.items()))


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
        ("Last-Modified", format_datetime(known.last_modified, usegmt=True)),
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


class _MetadataName(bytes):
    """A header's name that keeps its case: web servers write the names that they get in lower."""

    __slots__ = ()

    def lower(self) -> "_MetadataName":
        return self


def response_of(answer: Answer) -> Response:
    """Return an answer in the form that the web server sends.

    Args:
        answer: The answer.
    """
    content = answer.content
    if isinstance(content, FilePart):
        start, end = content.bounds
        length = end - start
        response: Response = FilePartResponse(content, answer.status)
    else:
        length = len(content)
        response = Response(content, answer.status)
    latest = {name.lower(): (name, value) for name, value in answer.headers}
    latest["content-length"] = (
        "Content-Length",
        str(length if answer.length is None else answer.length),
    )
    response.raw_headers = [_encoded(name, value) for name, value in latest.values()]
    return response


def _encoded(name: str, value: str) -> tuple[bytes, bytes]:
    # Values may come out of a SAS, where `%0d%0a` could begin another header.
    value = _UNSENDABLE.sub("", value)
    try:
        raw = value.encode("latin-1")  # as it came in
    except UnicodeEncodeError:
        raw = value.encode()
    if name.lower().startswith(PREFIX):
        return _MetadataName(name.encode("latin-1")), raw
    return name.lower().encode("latin-1"), raw


class FilePartResponse(StreamingResponse):
    """Sends a part of a file in chunks and closes the file, whatever happens.

    Where a job cuts the file short meanwhile, the answer ends early and the connection is closed:
    the client sees that bytes are missing and asks again.

    Args:
        content: The part.
        status: The HTTP status.
    """

    def __init__(self, content: FilePart, status: int) -> None:
        super().__init__((), status)  # the chunks are read below, where the end can be held back
        self._content = content

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the answer.

        Args:
            scope: The request.
            receive: Tells when the client has gone.
            send: Sends.
        """
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._content.file.close()

    async def stream_response(self, send: Send) -> None:
        """Send headers and chunks; stop without an end where the file is too short.

        Args:
            send: Sends.
        """
        await send(
            {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
        )
        descriptor = self._content.file.fileno()
        offset, end = self._content.bounds
        while offset < end:
            size = min(CHUNK, end - offset)
            chunk = await run_in_threadpool(os.pread, descriptor, size, offset)
            if not chunk:
                return
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
            offset += len(chunk)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

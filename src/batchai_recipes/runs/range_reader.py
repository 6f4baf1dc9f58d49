"""Reading a part of a file by its link, taken up again where a connection drops."""

import logging
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from attrs import frozen

from batchai_recipes.connection import Connection
from batchai_recipes.errors import RequestError
from batchai_recipes.pacing import Pacing
from batchai_recipes.refusals import explained
from batchai_recipes.runs.links import (
    TRIES,
    WORTH_ANOTHER_TRY,
    content_length,
    pause_before,
    whole_size,
)

if TYPE_CHECKING:
    from azure.core.rest import HttpResponse

PIECE_BYTES: Final = 4 << 20
"""How much is asked for at a time where nobody says."""

_LOG: Final = logging.getLogger("batchai_recipes.runs")
_GONE: Final = frozenset({HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND})


@frozen
class Piece:
    """What was read of a file.

    Args:
        content: The bytes from the place that was asked for; empty where the file ends before it.
            It may be less than was asked for.
        size: The size of the whole file in bytes; None where the answer does not tell.
        etag: The file's entity tag; None where the answer does not tell.
    """

    content: bytes
    size: int | None
    etag: str | None


class RangeReader:
    """Reads parts of files by their links.

    Args:
        connection: Whose client sends the requests.
        owner: Whose files they are, for messages.
        pacing: Its clock lets time pass between tries.
    """

    def __init__(self, connection: Connection, owner: str, pacing: Pacing) -> None:
        self._connection = connection
        self._owner = owner
        self._pacing = pacing

    def read(self, url: str, start: int, length: int = PIECE_BYTES) -> Piece | None:
        """Read from a byte on.

        What came before a connection dropped is returned; only where nothing came at all is it
        asked for again.

        Args:
            url: The file's link.
            start: The first byte, from 0.
            length: How many bytes at most, 1 or more.

        Returns:
            What came; None when the link is no longer good or the file is not there.

        Raises:
            RequestError: The service did not answer, or answered with another error.
        """
        from azure.core.exceptions import (  # noqa: PLC0415 - loaded on first use
            AzureError,
            HttpResponseError,
        )

        status = 0
        with explained(f"read the output of {self._owner}"):
            for attempt in range(TRIES):
                if attempt:
                    _LOG.info("Reading the output of %s once more, from %d", self._owner, start)
                    self._pacing.sleep(pause_before(attempt))
                last = attempt == TRIES - 1
                try:
                    piece, status = self._ask(url, start, length)
                except AzureError:
                    if last:
                        raise
                    continue
                cut_off = status == HTTPStatus.PARTIAL_CONTENT and piece and not piece.content
                if status in _GONE or (piece is not None and not cut_off):
                    return piece
                if not cut_off and status not in WORTH_ANOTHER_TRY:
                    break
        why = "it came empty" if status == HTTPStatus.PARTIAL_CONTENT else f"status {status}"
        cause = HttpResponseError(why)
        cause.status_code = status  # for whoever waits for a service that is away
        raise RequestError(f"Failed to read the output of {self._owner}: {why}") from cause

    def _ask(self, url: str, start: int, length: int) -> tuple[Piece | None, int]:
        from azure.core.rest import HttpRequest  # noqa: PLC0415 - loaded on first use

        # Encoded content could not be taken up again at a place in the file.
        wanted = {"Range": f"bytes={start}-{start + length - 1}", "Accept-Encoding": "identity"}
        request = HttpRequest("GET", url, headers=wanted)
        response = self._connection.downloads.send_request(request, stream=True)
        try:
            status = response.status_code
            headers = {name.lower(): value for name, value in response.headers.items()}
            size, etag = whole_size(headers), headers.get("etag")
            if status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                return Piece(b"", size, etag), status
            if status == HTTPStatus.PARTIAL_CONTENT:
                return Piece(_received(response, length), size, etag), status
            if status == HTTPStatus.OK:  # an answer without regard to the range
                content = _received(response, start + length)
                return Piece(content[start:], content_length(headers), etag), status
            return None, status
        finally:
            response.close()


def _received(response: "HttpResponse", length: int) -> bytes:
    """Return what comes, also where the connection drops after a part of it."""
    from azure.core.exceptions import AzureError  # noqa: PLC0415 - loaded on first use

    content = bytearray()
    try:
        for chunk in response.iter_raw():
            content += chunk
            if len(content) >= length:
                break
    except AzureError:
        if not content:
            raise
    return bytes(content[:length])

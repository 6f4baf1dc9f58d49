"""The ids of a request, on its answer and in the log."""

import logging
import re
import uuid
from collections.abc import Mapping
from importlib import metadata
from typing import Final

from attrs import frozen
from starlette.types import Scope

from batchai_recipes.service.log import FIELDS

_LOG: Final = logging.getLogger(__name__)
_CORRELATION: Final = b"x-ms-correlation-request-id"
_CLIENT: Final = b"x-ms-client-request-id"
_RETURN_CLIENT: Final = b"x-ms-return-client-request-id"
_SERVER: Final = f"batchai-recipes/{metadata.version('batchai-recipes')}".encode("ascii")
_ID: Final = re.compile(rb"[-.\w]{1,128}")
_UNPRINTABLE: Final = re.compile(r"[^\x21-\x7e]")


@frozen
class RequestIds:
    """The ids of one request.

    Args:
        request_id: The service's own.
        correlation_id: The caller's for all requests of one undertaking; else the request's own.
        client_id: The caller's for this request, where it wants it back.
    """

    request_id: str
    correlation_id: bytes
    client_id: bytes | None = None

    @classmethod
    def of(cls, headers: Mapping[bytes, bytes]) -> "RequestIds":
        """Return the ids of a request.

        Args:
            headers: The request's headers, names in lower case.
        """
        request_id = str(uuid.uuid4())
        correlation_id = headers.get(_CORRELATION, b"")
        if _ID.fullmatch(correlation_id) is None:
            correlation_id = request_id.encode("ascii")
        client_id = headers.get(_CLIENT)
        if client_id is not None and (
            headers.get(_RETURN_CLIENT, b"").lower() != b"true" or _ID.fullmatch(client_id) is None
        ):
            client_id = None
        return cls(request_id, correlation_id, client_id)

    def headers(self) -> list[tuple[bytes, bytes]]:
        """Return the headers that tell the ids, and which service this is, to the client."""
        request_id = self.request_id.encode("ascii")
        headers = [
            # Batch AI sent the first name, Azure Resource Manager sends the second.
            (b"request-id", request_id),
            (b"x-ms-request-id", request_id),
            (_CORRELATION, self.correlation_id),
            (b"server", _SERVER),
        ]
        if self.client_id is not None:
            headers.append((_CLIENT, self.client_id))
        return headers

    def log(self, scope: Scope, status: int, seconds: float) -> None:
        """Write one line about the request to the log.

        It has the path without the query, and no header: neither secrets nor signatures get in.

        Args:
            scope: The request's scope; see ASGI.
            status: The status of its answer.
            seconds: How long it took, in seconds.
        """
        if not _LOG.isEnabledFor(logging.INFO):
            return
        path = _UNPRINTABLE.sub("?", scope["path"])[:500]
        message = (
            f"method={scope['method']} path={path} status={status} ms={seconds * 1000:.1f} "
            f"request_id={self.request_id} correlation_id={self.correlation_id.decode('ascii')}"
        )
        # Made by hand: `info` would look for the caller and for arguments, for every request.
        record = logging.LogRecord(_LOG.name, logging.INFO, __file__, 0, message, None, None)
        record.__dict__.update(FIELDS)
        _LOG.handle(record)

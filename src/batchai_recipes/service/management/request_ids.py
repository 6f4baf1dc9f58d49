"""The ids of a request, on its answer and in the log."""

import logging
import re
import time
import uuid
from collections.abc import Mapping
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from batchai_recipes.service.management.metrics import Metrics

_LOG: Final = logging.getLogger(__name__)
_CORRELATION: Final = "x-ms-correlation-request-id"
_CLIENT: Final = "x-ms-client-request-id"
_RETURN_CLIENT: Final = "x-ms-return-client-request-id"
_ID: Final = re.compile(r"[-.\w]{1,128}", re.ASCII)
_UNPRINTABLE: Final = re.compile(r"[^\x21-\x7e]")


class RequestIds:
    """Gives every request an id and every answer the ids, and writes one line to the log.

    The line has the path without the query, and no header: neither secrets nor signatures get in.

    Args:
        app: What answers.
        metrics: Counts the answers.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection; see ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        ids = _ids(Headers(scope=scope))
        began = time.monotonic()
        status = 0
        told = False

        def tell() -> None:
            nonlocal told
            told = True
            self._tell(scope, status, time.monotonic() - began, ids)

        async def send_with_ids(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message).update(ids)
            elif not message.get("more_body", False):
                # Before the end is sent: who has the answer finds it counted and in the log.
                tell()
            await send(message)

        try:
            await self._app(scope, receive, send_with_ids)
        finally:
            if not told:
                tell()

    def _tell(self, scope: Scope, status: int, seconds: float, ids: Mapping[str, str]) -> None:
        self._metrics.observe(scope, status, seconds)
        _LOG.info(
            "method=%s path=%s status=%d ms=%d request_id=%s correlation_id=%s",
            scope["method"],
            _UNPRINTABLE.sub("?", scope["path"])[:500],
            status,
            seconds * 1000,
            ids["x-ms-request-id"],
            ids[_CORRELATION],
        )


def _ids(headers: Headers) -> dict[str, str]:
    request_id = str(uuid.uuid4())
    given = headers.get(_CORRELATION, "")
    correlation_id = given if _ID.fullmatch(given) else request_id
    ids = {
        # Batch AI sent the first name, Azure Resource Manager sends the second.
        "request-id": request_id,
        "x-ms-request-id": request_id,
        _CORRELATION: correlation_id,
    }
    client_id = headers.get(_CLIENT, "")
    if headers.get(_RETURN_CLIENT, "").lower() == "true" and _ID.fullmatch(client_id):
        ids[_CLIENT] = client_id
    return ids

"""One request as a handler sees it, and what handlers answer."""

import base64
import binascii
import json
import re
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any, Final, Literal
from urllib.parse import quote, urlencode

from attrs import Factory, field, frozen
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Receive

from batchai_recipes.service.management.documents import JSONResponse
from batchai_recipes.service.management.errors import ManagementError, invalid_parameter
from batchai_recipes.service.management.plane import ManagementPlane
from batchai_recipes.service.management.preconditions import NO_PRECONDITIONS, Preconditions

MAXIMUM_BODY_BYTES: Final = 4 * 1024 * 1024
"""The largest request body, as Azure Resource Manager's."""

_JSON_TYPES: Final = re.compile(r"(application|text)/(json|[-.\w]+\+json)", re.IGNORECASE)
_WHOLE_NUMBER: Final = re.compile(r"[0-9]{1,9}")
_PARAMETER: Final = re.compile(r"\{(\w+)\}", re.ASCII)
_PAGE_SIZE: Final = 1000
_SKIP: Final = "$skiptoken"

Api = Literal["batchai", "resources"]
"""Which API an endpoint is of: each has its own versions."""


@frozen
class Call:
    """One request whose caller, API version and subscription have been checked.

    Args:
        path: The path as it was asked for.
        names: The path parameters.
        query: The query parameters, by names in lower case.
        document: The JSON body; None where there was none.
        preconditions: What the request says of the state that it is for.
    """

    path: str
    names: Mapping[str, str]
    query: Mapping[str, str]
    document: Any
    preconditions: Preconditions = NO_PRECONDITIONS

    def whole(self, name: str, default: int, *, minimum: int, maximum: int) -> int:
        """Return a query parameter that is a whole number.

        Args:
            name: The parameter, in lower case.
            default: What it is when it was not given.
            minimum: The least value.
            maximum: The greatest value.

        Raises:
            ManagementError: It is not a whole number of that range (400).
        """
        text = self.query.get(name)
        if text is None:
            return default
        if _WHOLE_NUMBER.fullmatch(text) is None or not minimum <= int(text) <= maximum:
            raise invalid_parameter(
                name,
                f"The value '{text[:100]}' of the parameter '{name}' is invalid: it must be a "
                f"whole number from {minimum} to {maximum}.",
            )
        return int(text)

    def skipped_to(self) -> str:
        """Return the last entry of the page before, or '' on the first page.

        Raises:
            ManagementError: The token is not one that a ``nextLink`` held (400).
        """
        token = self.query.get(_SKIP, "")
        try:
            return base64.urlsafe_b64decode(token.encode("ascii")).decode("utf-8")
        except (UnicodeError, binascii.Error) as error:
            raise invalid_parameter(
                _SKIP, f"The {_SKIP} is invalid. Follow the nextLink as it was given."
            ) from error

    def page(
        self,
        plane: ManagementPlane,
        entries: Iterable[tuple[str, Mapping[str, Any]]],
        size: int,
    ) -> Response:
        """Answer with one page of a list.

        Args:
            plane: Tells the address for the link to the next page.
            entries: The sort key and the document of each entry after :meth:`skipped_to`, in
                order; one more than the page holds, where there is one more.
            size: How many entries a page holds.
        """
        shown = list(entries)
        document: dict[str, Any] = {"value": [entry for _, entry in shown[:size]]}
        if len(shown) > size:
            token = base64.urlsafe_b64encode(shown[size - 1][0].encode("utf-8")).decode("ascii")
            query = urlencode({**self.query, _SKIP: token})
            document["nextLink"] = f"{plane.base}{quote(self.path)}?{query}"
        return JSONResponse(document)

    def page_size(self, name: str = "maxresults") -> int:
        """Return how many entries a page of a list holds.

        Args:
            name: The parameter that says so.

        Raises:
            ManagementError: It is not a number from 1 to 1000 (400).
        """
        return self.whole(name, _PAGE_SIZE, minimum=1, maximum=_PAGE_SIZE)


@frozen
class Endpoint:
    """One line of a noun's table of routes.

    Args:
        method: The HTTP method.
        path: The path with its parameters; matched without regard to case.
        handler: Answers; called in a worker thread, so it may block.
        api: Which API it is of.
        quick: Whether the handler only looks up a few records. Then the event loop calls it: going
            to a worker thread and back takes longer than that.
        waits: Whether the handler, a quick one, is about an operation of whose end the client had
            better hear at once; the request waits for it a moment.
    """

    method: str
    path: str
    handler: Callable[[ManagementPlane, Call], Response]
    api: Api = "batchai"
    quick: bool = field(default=False, kw_only=True)
    waits: bool = field(default=False, kw_only=True)
    parameters: tuple[str, ...] = field(
        init=False,
        repr=False,
        default=Factory(
            lambda operation: tuple(_PARAMETER.findall(operation.path)), takes_self=True
        ),
    )


async def read_document(headers: Mapping[bytes, bytes], receive: Receive) -> Any:
    """Read a request's JSON body.

    Args:
        headers: The request's headers.
        receive: Receives its body; see ASGI.

    Returns:
        The document, or None where the body is empty.

    Raises:
        ManagementError: The body is too long (413), of another type (415) or not JSON (400).
        ClientDisconnect: The client went away before its request was complete.
    """
    if b"content-length" not in headers and b"transfer-encoding" not in headers:
        return None
    body = await _read_body(receive)
    if not body:
        return None
    content_type = headers.get(b"content-type", b"").decode("latin-1")
    if _JSON_TYPES.fullmatch(content_type.partition(";")[0].strip()) is None:
        raise ManagementError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "UnsupportedMediaType",
            f"The content media type '{content_type[:100]}' is not supported. "
            "Only 'application/json' is supported.",
        )
    return _parse(body)


async def _read_body(receive: Receive) -> bytes:
    body = bytearray()
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        body += message.get("body", b"")
        if len(body) > MAXIMUM_BODY_BYTES:
            raise ManagementError(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                "RequestContentTooLarge",
                f"The request body is over {MAXIMUM_BODY_BYTES} bytes, the most that is accepted.",
            )
        more = message.get("more_body", False)
    return bytes(body)


def _parse(body: bytes) -> Any:
    try:
        document = json.loads(body.decode("utf-8-sig"), parse_constant=_refuse_constant)
        # Half a surrogate pair can be written in JSON but not recorded or sent back.
        json.dumps(document, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError) as error:
        raise ManagementError(
            HTTPStatus.BAD_REQUEST,
            "InvalidRequestContent",
            f"The request content was invalid and could not be deserialized: {str(error)[:200]}.",
        ) from error
    return document


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON value")

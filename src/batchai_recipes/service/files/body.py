"""Reading the body of a request, no more of it than its operation takes."""

from starlette.types import Receive

from batchai_recipes.service.files.call import Call
from batchai_recipes.service.files.errors import ErrorCode, FileServiceError


class ClientGoneError(Exception):
    """The client closed the connection before its request was complete."""


async def read_body(call: Call, receive: Receive, limit: int) -> bytes:
    """Read a body.

    Args:
        call: The request.
        receive: Gives the body piece by piece.
        limit: How large it may be, in bytes; 0 where it means nothing and is not read.

    Returns:
        The body, whole: what is written must have the length and the MD5 that the headers say, and
        that can be told only at its end.

    Raises:
        FileServiceError: The body is too large; nothing more of it is read.
        ClientGoneError: The client has gone.
    """
    if limit == 0:
        return b""
    declared = call.headers.get("content-length", "0")
    if declared.isdigit() and (len(declared) > len(str(limit)) or int(declared) > limit):
        raise _too_large(limit)
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        body += message.get("body", b"")
        if len(body) > limit:  # a body in chunks says no length
            raise _too_large(limit)
        if not message.get("more_body", False):
            return bytes(body)


def _too_large(limit: int) -> FileServiceError:
    return FileServiceError(
        ErrorCode.REQUEST_BODY_TOO_LARGE,
        f"The body has more than {limit} bytes; write the file in several ranges.",
        details={"MaxLimit": str(limit)},
    )

"""The body of a request, read from the socket when its operation asks for it, and no sooner."""

import threading
from collections.abc import Callable
from typing import Final, Protocol

from batchai_recipes.service.files.byte_range import MAXIMUM_LENGTH
from batchai_recipes.service.files.errors import ErrorCode, FileServiceError
from batchai_recipes.service.files.http_head import MalformedError, RequestHead

Content = bytes | bytearray | memoryview

# Larger bodies are read into memory that is used again: to get as much anew from the operating
# system, page by page, costs about as much as receiving it.
_WORTH_REUSE: Final = 64 * 1024
_BUFFERS_KEPT: Final = 8
_READ: Final = 64 * 1024


class ClientGoneError(Exception):
    """The client closed the connection, or fell silent, before its request was complete."""


class Wire(Protocol):
    """What a body is read from."""

    def receive(self, size: int) -> bytes:
        """Return the next bytes, at most so many and at least one.

        Raises:
            ClientGoneError: There are none.
        """
        ...

    def receive_into(self, target: memoryview) -> None:
        """Fill some memory.

        Raises:
            ClientGoneError: Too few bytes came.
        """
        ...

    def send_continue(self) -> None:
        """Tell the client to send its body."""
        ...


class Buffers:
    """Memory for large bodies, used again and again.

    More are made than kept, so that no client ever waits for another one's upload.
    """

    def __init__(self) -> None:
        self._free: list[bytearray] = []
        self._lock = threading.Lock()

    def take(self) -> bytearray:
        """Return memory for a body of the largest size."""
        with self._lock:
            if self._free:
                return self._free.pop()
        return bytearray(MAXIMUM_LENGTH)

    def give_back(self, buffer: bytearray) -> None:
        """Take back what `take` returned; nobody may use it any more."""
        with self._lock:
            if len(self._free) < _BUFFERS_KEPT:
                self._free.append(buffer)


class Body:
    """The body of one request.

    Args:
        head: Says how it is framed.
        wire: What it is read from.
        buffers: Memory for large ones.
    """

    def __init__(self, head: RequestHead, wire: Wire, buffers: Buffers) -> None:
        self._head = head
        self._wire = wire
        self._buffers = buffers
        self._taken: bytearray | None = None
        self.is_read = not head.is_chunked and head.length == 0

    def read(self, limit: int) -> Content:
        """Read the body, whole.

        Whole, since what is written must have the length and the MD5 that the headers say, and that
        can be told only at its end.

        Args:
            limit: How large it may be, in bytes.

        Returns:
            The body; good until :meth:`release`.

        Raises:
            FileServiceError: It is larger; nothing more of it is read.
            ClientGoneError: The client has gone.
        """
        if self.is_read:
            return b""
        head = self._head
        if head.length > limit:
            raise _too_large(limit)
        if head.expects_continue:
            self._wire.send_continue()
        content: Content = self._read_chunks(limit) if head.is_chunked else self._read(head.length)
        self.is_read = True
        return content

    def release(self) -> None:
        """Let the body's memory be used for another one."""
        if self._taken is not None:
            self._buffers.give_back(self._taken)
            self._taken = None

    def discard(self, limit: int) -> bool:
        """Read what is left and forget it, so that the next request can be read.

        Args:
            limit: How much to read at most, in bytes.

        Returns:
            Whether the body has been read to its end.

        Raises:
            ClientGoneError: The client has gone.
        """
        if self.is_read:
            return True
        # One who waits for "100 Continue" may send the body or not: nobody can tell.
        if self._head.is_chunked or self._head.expects_continue or self._head.length > limit:
            return False
        left = self._head.length
        while left:
            left -= len(self._wire.receive(min(left, _READ)))
        self.is_read = True
        return True

    def _read(self, length: int) -> Content:
        if length < _WORTH_REUSE or length > MAXIMUM_LENGTH:
            content: memoryview = memoryview(bytearray(length))
        else:
            self._taken = self._buffers.take()
            content = memoryview(self._taken)[:length]
        self._wire.receive_into(content)
        return content

    def _read_chunks(self, limit: int) -> Content:
        body = bytearray()
        while not self._head.is_complete:
            try:
                body += self._head.feed(self._wire.receive(_READ))
            except MalformedError as error:
                raise ClientGoneError from error
            if len(body) > limit:
                raise _too_large(limit)
        return body


BodyReader = Callable[[int], Content]
"""Reads a request's body, of at most so many bytes."""


def _too_large(limit: int) -> FileServiceError:
    return FileServiceError(
        ErrorCode.REQUEST_BODY_TOO_LARGE,
        f"The body has more than {limit} bytes; write the file in several ranges.",
        details={"MaxLimit": str(limit)},
    )

"""One client's connection: reading its requests, one after the other, and sending the answers."""

import logging
import os
import socket
import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from batchai_recipes.service.files.answer import Answer, FilePart, wire_head
from batchai_recipes.service.files.body import Body, Buffers, ClientGoneError, Content
from batchai_recipes.service.files.call import Call
from batchai_recipes.service.files.crew import StepAside
from batchai_recipes.service.files.http_head import MAXIMUM_HEAD, MalformedError, RequestHead

Handler = Callable[[Call, Callable[[int], Content]], Answer]
"""Answers a request; the second argument reads its body, of at most so many bytes."""

IDLE_SECONDS: Final = 60
"""How long a connection is kept without a request, and how long a client may fall silent in one."""
HEAD_SECONDS: Final = 30
"""How long a client may take over the head of a request, from its first byte."""
BODY_SECONDS: Final = 300
"""How long a client may take over a body, which has 4 MiB at most."""

_HEAD_READ: Final = 16 * 1024
_DISCARDED: Final = 16 * 2**20
_LINGER_SECONDS: Final = 2
_WORTH_A_THREAD: Final = 64 * 1024
_PIECE: Final = 4 * 2**20
_TLS_PIECE: Final = 256 * 1024
_END: Final = b"\r\n\r\n"
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_REFUSAL: Final = (
    "HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\n"
    "Connection: close\r\n\r\n{text}"
)
_TIMEOUTS: Final = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError, TimeoutError)

_logger = logging.getLogger(__name__)


def _stay() -> None:
    pass


class Connection:
    """A connection, served by one thread at a time.

    One by http rests between its requests, and no thread waits for it; one by https keeps its
    thread until either side closes it, since what has come may wait in the encryption already.

    Args:
        accepted: The socket; its kernel timeouts are set here.
        client_ip: Where it comes from.
        tls: What makes it https; None for http.
        handler: Answers requests.
        buffers: Memory for large bodies.
        is_crowded: Tells whether others wait to be served; then it ends with its next answer.
    """

    def __init__(
        self,
        accepted: socket.socket,
        client_ip: str,
        tls: ssl.SSLContext | None,
        handler: Handler,
        buffers: Buffers,
        *,
        is_crowded: Callable[[], bool],
    ) -> None:
        self._socket = accepted
        self._client_ip = client_ip
        self._tls = tls
        self._handler = handler
        self._buffers = buffers
        self._is_crowded = is_crowded
        self._pending = b""
        self._deadline = 0.0
        self._step_aside: StepAside = _stay
        self.is_closing = False
        self.is_idle = False
        self.idle_since = 0.0
        self._prepare()
        self._rest()

    def fileno(self) -> int:
        """Return the descriptor of the socket."""
        return self._socket.fileno()

    def serve(self, step_aside: StepAside) -> bool:
        """Answer the requests that have come.

        Args:
            step_aside: To be called before anything that may last.

        Returns:
            Whether more may come; if not, the connection is to be closed.
        """
        self._step_aside = step_aside
        try:
            self.is_idle = self._tls is not None  # what has come is not read yet, but nearly
            if self._tls:
                step_aside()
                self._socket = self._tls.wrap_socket(self._socket, server_side=True)
            while self._serve_one():
                if not (self._tls or self._pending.lstrip(b"\r\n")):
                    return True
        except (OSError, ClientGoneError):
            pass  # the client has gone: it gets no answer, and nobody misses it
        except Exception:
            _logger.exception("A connection of the file service ended by a bug")
        return False

    def close(self) -> None:
        """Close the socket; nobody serves the connection any more."""
        with suppress(OSError):
            self._socket.close()

    def abort(self) -> None:
        """End the connection at once; may be called from another thread."""
        self.is_closing = True
        with suppress(OSError):
            # Not an SSLSocket's own, which would let the other thread go on without encryption.
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    @property
    def rests(self) -> bool:
        """Whether it has no request, not even one that nobody has begun to read."""
        if not self.is_idle or self._tls:
            return self.is_idle
        try:
            return not self._socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except OSError:
            return True

    def receive(self, size: int) -> bytes:
        """Return the next bytes of a body, at most so many.

        Args:
            size: How many.

        Raises:
            ClientGoneError: There are none, or the client took too long.
        """
        if self._pending:
            given, self._pending = self._pending[:size], self._pending[size:]
            return given
        self._step_aside()
        return self._receive(size)

    def receive_into(self, target: memoryview) -> None:
        """Fill some memory with the next bytes of a body.

        Args:
            target: The memory.

        Raises:
            ClientGoneError: Too few bytes came, or the client took too long.
        """
        filled = min(len(self._pending), len(target))
        target[:filled] = self._pending[:filled]
        self._pending = self._pending[filled:]
        if filled < len(target):
            filled += self._receive_now(target[filled:])
        if filled < len(target):
            self._step_aside()
        # One call of the kernel for all of it, where that can be.
        flags = 0 if self._tls else socket.MSG_WAITALL
        while filled < len(target):
            try:
                received = self._socket.recv_into(target[filled:], 0, flags)
            except _TIMEOUTS as error:
                raise ClientGoneError from error
            self._check_progress(received)
            filled += received

    def send_continue(self) -> None:
        """Tell the client to send its body."""
        self._send_all(_CONTINUE)

    def _prepare(self) -> None:
        # The kernel keeps these times: with Python's own, each call would be two.
        seconds = IDLE_SECONDS.to_bytes(8, "little") + bytes(8)
        self._socket.setblocking(True)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, seconds)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, seconds)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def _rest(self) -> None:
        self.idle_since = time.monotonic()
        self.is_idle = True

    def _serve_one(self) -> bool:
        """Answer one request; tell whether another one may follow."""
        try:
            head = self._read_head()
        except MalformedError as error:
            self._refuse("400 Bad Request", f"Not a request of HTTP/1.1: {error}\n")
            return False
        if head is None:
            return False
        self._deadline = time.monotonic() + BODY_SECONDS
        body = Body(head, self, self._buffers)
        try:
            scheme = "https" if self._tls else "http"
            call = Call.of(head.method, head.target, head.headers, scheme, self._client_ip)
            answer = self._handler(call, body.read)
        finally:
            body.release()
        # A client that is still sending would be cut off before it reads the answer.
        keep_alive = (
            head.keep_alive
            and not self.is_closing
            and not self._is_crowded()
            and self._may_go_on(head, body)
        )
        complete = self._send(answer, with_content=head.method != "HEAD", keep_alive=keep_alive)
        if not body.discard(_DISCARDED):
            self._linger()
            return False
        self._rest()
        return keep_alive and complete and not self.is_closing

    @staticmethod
    def _may_go_on(head: RequestHead, body: Body) -> bool:
        return body.is_read or not (head.expects_continue or head.length > _DISCARDED)

    def _read_head(self) -> RequestHead | None:
        data = self._pending.lstrip(b"\r\n")
        self._deadline = 0.0
        has_come = not data  # else it would not be served
        while (end := data.find(_END)) < 0:
            if len(data) > MAXIMUM_HEAD:
                self._refuse("431 Request Header Fields Too Large", "The headers are too large\n")
                return None
            if not has_come:
                self._step_aside()
            has_come = False
            try:
                received = self._receive(_HEAD_READ)
            except ClientGoneError:
                return None
            if not data:
                self.is_idle = False
                self._deadline = time.monotonic() + HEAD_SECONDS
            data = data + received if data else received.lstrip(b"\r\n")
        self.is_idle = False
        end += len(_END)
        self._pending = data[end:]
        return RequestHead(data[:end])

    def _receive_now(self, target: memoryview) -> int:
        """Receive what of a small body has come already; return how many bytes."""
        if self._tls or len(target) > _WORTH_A_THREAD:
            return 0
        try:
            received = self._socket.recv_into(target, 0, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return 0
        self._check_progress(received)
        return received

    def _receive(self, size: int) -> bytes:
        try:
            received = self._socket.recv(size)
        except _TIMEOUTS as error:
            raise ClientGoneError from error
        self._check_progress(len(received))
        return received

    def _check_progress(self, received: int) -> None:
        if not received or (self._deadline and time.monotonic() > self._deadline):
            raise ClientGoneError

    def _send(self, answer: Answer, *, with_content: bool, keep_alive: bool) -> bool:
        """Send an answer; tell whether it could be sent to its end."""
        content = answer.content
        head = wire_head(answer, keep_alive=keep_alive)
        if isinstance(content, bytes):
            self._send_all(head + content if with_content else head)
            return True
        try:
            start, end = content.bounds
            if not with_content or start == end:
                self._send_all(head)
                return True
            if end - start <= _WORTH_A_THREAD:
                piece = os.pread(content.file.fileno(), end - start, start)
                self._send_all(head + piece)
                return len(piece) == end - start
            return self._send_part(head, content)
        finally:
            content.file.close()

    def _send_all(self, data: bytes) -> None:
        sent = 0
        if not self._tls:
            with suppress(BlockingIOError):
                sent = self._socket.send(data, socket.MSG_DONTWAIT)
        if sent < len(data):
            self._step_aside()
            self._socket.sendall(data[sent:])

    def _send_part(self, head: bytes, content: FilePart) -> bool:
        """Send a large part of a file.

        Where a job cuts the file short meanwhile, the answer ends early and the connection is
        closed: the client sees that bytes are missing and asks again.
        """
        self._step_aside()
        descriptor = content.file.fileno()
        offset, end = content.bounds
        if self._tls:
            self._socket.sendall(head)
        else:
            self._socket.sendall(head, socket.MSG_MORE)
        while offset < end:
            if self._tls:
                piece = os.pread(descriptor, min(_TLS_PIECE, end - offset), offset)
                self._socket.sendall(piece)
                sent = len(piece)
            else:
                # From the page cache to the client, past this process.
                size = min(_PIECE, end - offset)
                sent = os.sendfile(self._socket.fileno(), descriptor, offset, size)
            if not sent:
                return False
            offset += sent
        return True

    def _refuse(self, status: str, text: str) -> None:
        refusal = _REFUSAL.format(status=status, length=len(text), text=text)
        self._send_all(refusal.encode("latin-1", "replace"))
        self._linger()

    def _linger(self) -> None:
        """Close so that the client reads the answer, though it has not stopped sending."""
        self._step_aside()
        self._deadline = time.monotonic() + _LINGER_SECONDS
        with suppress(OSError, ClientGoneError):
            self._socket.settimeout(_LINGER_SECONDS)
            self._socket.shutdown(socket.SHUT_WR)
            while True:
                self._receive(_HEAD_READ)

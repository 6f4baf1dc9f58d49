"""The head of an HTTP/1.1 request, and how the body that follows it is framed."""

from typing import Final

import httptools

MAXIMUM_HEAD: Final = 48 * 1024
"""How long the head of a request may be: metadata has 8 KiB, a SAS and a path few more."""


class MalformedError(Exception):
    """What a client sent is not HTTP/1.1."""


class RequestHead:
    r"""The first lines of a request, up to the empty one.

    The parser is llhttp, in its strict mode: it refuses lengths that contradict each other, folded
    lines and all else by which two readers of one message could come to differ.

    Args:
        text: The lines, with the empty one.

    Raises:
        MalformedError: They are not the head of a request.

    Example:
        >>> head = RequestHead(b"PUT /a?b=1 HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\n")
        >>> head.method, head.target, head.length, head.keep_alive
        ('PUT', b'/a?b=1', 3, True)
    """

    __slots__ = (
        "_complete",
        "_parser",
        "_pieces",
        "expects_continue",
        "headers",
        "is_chunked",
        "keep_alive",
        "length",
        "method",
        "target",
    )

    def __init__(self, text: bytes) -> None:
        self.method = ""
        self.keep_alive = False
        self.target = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self.length = 0
        self.is_chunked = False
        self.expects_continue = False
        self._pieces = bytearray()
        self._complete = False
        self._parser = httptools.HttpRequestParser(self)
        try:
            self._parser.feed_data(text)
        except httptools.HttpParserUpgrade:
            pass  # nothing to change to here; the request is answered as any other
        except httptools.HttpParserError as error:
            raise MalformedError(str(error)) from error
        if not self.method:
            raise MalformedError("Another version of HTTP than 1.1")

    def on_url(self, piece: bytes) -> None:
        """Take a piece of the request's target."""
        if not self._complete:
            self.target += piece

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header."""
        self.headers.append((name, value))
        # Few names need to be looked at, and most can be told by their length.
        if len(name) in _FRAMING_LENGTHS:
            self._look_at(name.lower(), value)

    def on_headers_complete(self) -> None:
        """Take note of what the parser knows now only."""
        if not self._complete and self._parser.get_http_version() in _VERSIONS:
            self.method = self._parser.get_method().decode("latin-1")
            # After a body in chunks the parser would go on into the next request: a connection more
            # is cheaper than two readers of its bytes.
            self.keep_alive = self._parser.should_keep_alive() and not self.is_chunked

    def on_body(self, piece: bytes) -> None:
        """Take a piece of a body in chunks."""
        self._pieces += piece

    def on_message_complete(self) -> None:
        """Take note that the body in chunks has come to its end."""
        self._complete = True

    def feed(self, data: bytes) -> bytes:
        """Read more of a body in chunks.

        Args:
            data: What came over the wire.

        Returns:
            The body's bytes among them.

        Raises:
            MalformedError: They are not chunks.
        """
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            raise MalformedError(str(error)) from error
        pieces, self._pieces = bytes(self._pieces), bytearray()
        return pieces

    @property
    def is_complete(self) -> bool:
        """Whether the end of a body in chunks has been seen."""
        return self._complete

    def _look_at(self, name: bytes, value: bytes) -> None:
        if name == b"content-length":
            self.length = int(value)  # the parser has made sure that these are digits
        elif name == b"transfer-encoding":
            self.is_chunked = True
        elif name == b"expect":
            self.expects_continue = value.strip().lower() == b"100-continue"


_VERSIONS: Final = frozenset({"1.0", "1.1"})
_FRAMING_LENGTHS: Final = frozenset(map(len, ("content-length", "transfer-encoding", "expect")))

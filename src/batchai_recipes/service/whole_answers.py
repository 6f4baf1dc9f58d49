"""HTTP for small answers: head and body leave in one piece."""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class WholeAnswersProtocol(HttpToolsProtocol):
    """uvicorn's protocol over a transport that gathers what is written at a time.

    uvicorn writes the head of an answer and its body one by one. Over TLS that is two records, two
    calls of the system and two packets for what fits into one of each.
    """

    # uvicorn declares the narrower type that it asks for.
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take up a connection; see asyncio's protocols.

        Args:
            transport: The connection.
        """
        super().connection_made(GatheringTransport(transport, self.loop))


class GatheringTransport(asyncio.Transport):
    """Passes on what is written until the event loop turns to something else, as one piece.

    Args:
        transport: Where it is passed on to.
        loop: The event loop.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._transport = transport
        self._loop = loop
        self._gathered: list[bytes | bytearray | memoryview] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Write soon.

        Args:
            data: The bytes.
        """
        if not self._gathered:
            self._loop.call_soon(self._flush)
        self._gathered.append(data)

    def close(self) -> None:
        """Close the connection when everything is written."""
        self._flush()
        self._transport.close()

    def abort(self) -> None:
        """Close the connection without a goodbye; an answer that is complete still leaves."""
        self._flush()
        self._transport.abort()

    def is_closing(self) -> bool:
        """Tell whether the connection is closing or closed."""
        return self._transport.is_closing()

    def pause_reading(self) -> None:
        """Let the client wait."""
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Read on."""
        self._transport.resume_reading()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return what the connection knows; see asyncio's transports."""
        return self._transport.get_extra_info(name, default)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Let another protocol read."""
        self._transport.set_protocol(protocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Return the protocol that reads."""
        return self._transport.get_protocol()

    def _flush(self) -> None:
        if self._gathered and not self._transport.is_closing():
            self._transport.write(b"".join(self._gathered))
        self._gathered.clear()

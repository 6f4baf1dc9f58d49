"""Head and body of an answer leave in one piece."""

import asyncio
import http.client
import socket

import pytest
from starlette.responses import Response

from batchai_recipes.service.listener import Listener, bind
from batchai_recipes.service.whole_answers import GatheringTransport

PATHS = (b"/a", b"/b", b"/c")


class Written(asyncio.Transport):
    """A transport that notes what is written."""

    def __init__(self):
        super().__init__()
        self.pieces = []
        self.ended = None

    def write(self, data):
        """Note a piece."""
        self.pieces.append(bytes(data))

    def close(self):
        """Note the end."""
        self.ended = "closed"

    def abort(self):
        """Note the end."""
        self.ended = "aborted"

    def is_closing(self):
        """Tell whether it has ended."""
        return self.ended is not None


def test_what_is_written_at_a_time_is_one_piece():
    """And what is written later another one."""

    async def write():
        written = Written()
        transport = GatheringTransport(written, asyncio.get_running_loop())
        transport.write(b"head ")
        transport.write(memoryview(b"body"))
        await asyncio.sleep(0)
        transport.write(b"next")
        await asyncio.sleep(0)
        return written.pieces

    assert asyncio.run(write()) == [b"head body", b"next"]


@pytest.mark.parametrize("end", ["close", "abort"])
def test_nothing_that_was_written_is_lost_at_the_end(end):
    """A connection that is closed has sent it; afterwards nothing is sent any more."""

    async def write():
        written = Written()
        transport = GatheringTransport(written, asyncio.get_running_loop())
        transport.write(b"answer")
        getattr(transport, end)()
        transport.write(b"too late")
        await asyncio.sleep(0)
        return written.pieces, written.ended

    assert asyncio.run(write()) == ([b"answer"], {"close": "closed", "abort": "aborted"}[end])


def test_requests_one_behind_the_other_are_answered_in_order():
    """Also without waiting for answers, and with large ones."""

    async def answer(scope, receive, send):
        await Response(scope["path"].encode() * 100_000)(scope, receive, send)

    taken = bind("127.0.0.1", 0)
    address = taken.getsockname()
    listener = Listener(answer, taken)
    listener.start()
    try:
        with socket.create_connection(address) as client, client.makefile("rb") as answers:
            client.settimeout(30)
            for path in PATHS:
                client.sendall(b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % path)
            for path in PATHS:
                assert answers.readline() == b"HTTP/1.1 200 OK\r\n"
                length = int(http.client.parse_headers(answers)["Content-Length"])
                assert answers.read(length) == path * 100_000
    finally:
        listener.stop()

"""The web server of the file service, against clients of every kind."""

import http.client
import os
import socket
import ssl
import threading
from contextlib import closing, suppress
from http import HTTPStatus
from io import FileIO

import pytest

from batchai_recipes.service.files import connection as connection_module
from batchai_recipes.service.files.answer import Answer, FilePart
from batchai_recipes.service.files.byte_range import ByteRange
from batchai_recipes.service.files.connection import Connection
from batchai_recipes.service.files.crew import Crew
from batchai_recipes.service.files.server import FileServer
from batchai_recipes.service.identity.certificates import ensure_authority
from batchai_recipes.service.listener import TlsFiles, bind


class Handler:
    """Answers with what it was told to, and remembers what it was asked."""

    def __init__(self):
        self.calls = []
        self.bodies = []
        self.limit = 4 * 2**20
        self.answer = None
        self.entered = threading.Event()
        self.released = threading.Event()
        self.released.set()

    def __call__(self, call, read_body):
        """Answer one request."""
        self.calls.append(call)
        if self.limit:
            self.bodies.append(bytes(read_body(self.limit)))
        self.entered.set()
        assert self.released.wait(30)
        return self.answer or Answer(200, (("x-ms-meta-Key", "v"),), b"answer")


@pytest.fixture
def handler():
    """What answers."""
    return Handler()


@pytest.fixture
def running(handler):
    """A server with room for two clients."""
    server = FileServer(handler, bind("127.0.0.1", 0), maximum=2)
    server.start()
    yield server
    handler.released.set()
    server.stop()


def connected(server):
    """Connect to a server."""
    client = socket.create_connection(("127.0.0.1", server.port))
    client.settimeout(30)
    return client


def talk(server, *pieces, end=b"answer"):
    """Send pieces over one connection; return what comes until an end, or all of it."""
    with closing(connected(server)) as client:
        for piece in pieces:
            client.sendall(piece)
        return heard(client, end)


def heard(client, end=b"answer"):
    """Return what a server says, until an end or its last word."""
    said = b""
    while not said.endswith(end):
        more = client.recv(65536)
        if not more:
            break
        said += more
    return said


def test_a_request_in_single_bytes(running, handler):
    """However the bytes come, it is one request."""
    text = b"PUT /a?b=1 HTTP/1.1\r\nHost: h\r\nx-ms-meta-Key: v\r\nContent-Length: 3\r\n\r\nabc"

    said = talk(running, *(bytes([byte]) for byte in text))

    assert said.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"\r\nx-ms-meta-Key: v\r\n" in said
    (call,) = handler.calls
    assert (call.verb, call.raw_path, call.parameters) == ("PUT", b"/a", (("b", "1"),))
    assert ("x-ms-meta-Key", "v") in call.cased_headers
    assert handler.bodies == [b"abc"]


def test_requests_that_come_at_once_are_answered_in_order(running, handler):
    """The next request may stand in the same packet, and in that of a body."""
    said = talk(
        running,
        b"PUT /1 HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcGET /2 HTTP/1.1\r\n\r\n"
        b"GET /3 HTTP/1.1\r\nConnection: close\r\n\r\n",
        end=b"nothing ends so",
    )

    assert said.count(b"HTTP/1.1 200 OK") == 3
    assert [call.raw_path for call in handler.calls] == [b"/1", b"/2", b"/3"]
    assert said.count(b"Connection: close") == 1


def test_empty_lines_between_requests_hold_up_nobody(running, handler):
    """Some clients send one after a body."""
    with closing(connected(running)) as client:
        for path in (b"/1", b"/2"):
            client.sendall(b"\r\n")
            client.sendall(b"PUT " + path + b" HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc\r\n")
            assert heard(client).startswith(b"HTTP/1.1 200")
            assert talk(running, b"GET / HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 200")

    assert [call.raw_path for call in handler.calls] == [b"/1", b"/", b"/2", b"/"]


def test_a_body_in_chunks(running, handler):
    """As clients send what has no length."""
    said = talk(
        running,
        b"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab",
        b"c\r\n2;x=y\r\nde\r\n0\r\n\r\n",
    )

    assert said.startswith(b"HTTP/1.1 200 OK")
    assert handler.bodies == [b"abcde"]


def test_a_client_that_asks_first_is_told_to_send(running, handler):
    """The body comes only after 100 Continue."""
    with closing(connected(running)) as client:
        client.sendall(b"PUT / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
        assert heard(client, b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(b"abc")
        assert b"HTTP/1.1 200" in heard(client)
    assert handler.bodies == [b"abc"]


def test_a_client_that_asks_first_is_refused_at_once(running, handler):
    """Its body is never sent, so the connection ends with the answer."""
    handler.limit = 0
    said = talk(running, b"PUT / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")

    assert said.startswith(b"HTTP/1.1 200")
    assert b"Connection: close" in said


def test_a_body_that_nobody_reads_is_skipped(running, handler):
    """The next request of the connection is found behind it."""
    handler.limit = 0
    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=30)
    for _ in range(2):
        connection.request("PUT", "/", os.urandom(2**20))
        assert connection.getresponse().read() == b"answer"
    connection.close()


def test_a_large_body_comes_whole(running, handler):
    """The memory that it was read into is used again, and never for two."""
    bodies = [os.urandom(4 * 2**20), os.urandom(3 * 2**20 + 1)]
    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=30)
    for body in bodies:
        connection.request("PUT", "/", body)
        assert connection.getresponse().status == HTTPStatus.OK
        connection.close()

    assert bodies == handler.bodies


@pytest.mark.parametrize(
    "text",
    [
        b"nonsense\r\n\r\n",
        b"GET / HTTP/2.0\r\n\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"GET / HTTP/1.1\r\nName : value\r\n\r\n",
        b"GET / HTTP/1.1\r\nName: value\r\n folded\r\n\r\n",
    ],
)
def test_what_two_could_read_in_two_ways_is_refused(running, handler, text):
    """400, and the connection ends; no handler sees it."""
    said = talk(running, text, end=b"nothing ends so")

    assert said.startswith(b"HTTP/1.1 400 ")
    assert handler.calls == []


def test_headers_without_end_are_refused(running, handler):
    """Their memory is bounded."""
    said = talk(running, b"GET / HTTP/1.1\r\n", b"a: b\r\n" * 10_000, end=b"nothing ends so")

    assert said.startswith(b"HTTP/1.1 431 ")
    assert handler.calls == []


def test_a_client_that_goes_in_the_midst_changes_nothing(running, handler):
    """Its body is not complete, so the operation never begins."""
    with closing(connected(running)) as client:
        client.sendall(b"PUT / HTTP/1.1\r\nContent-Length: 9\r\n\r\nabc")
        client.shutdown(socket.SHUT_WR)
        assert heard(client) == b""
    assert len(handler.calls) == 1
    assert handler.bodies == []


def test_a_silent_client_is_not_waited_for(handler, monkeypatch):
    """Neither before a request, nor within its head or within its body."""
    monkeypatch.setattr(connection_module, "IDLE_SECONDS", 1)
    server = FileServer(handler, bind("127.0.0.1", 0), idle_seconds=0.1)
    server.start()
    for begun in (b"", b"GET / HT", b"PUT / HTTP/1.1\r\nContent-Length: 9\r\n\r\nabc"):
        assert talk(server, begun) == b""
    assert handler.bodies == []
    server.stop()


def test_a_client_that_dribbles_is_not_waited_for(running, handler, monkeypatch):
    """Each byte of a head is progress, but all of it has a time."""
    monkeypatch.setattr(connection_module, "HEAD_SECONDS", -1)
    monkeypatch.setattr(connection_module, "BODY_SECONDS", -1)
    with closing(connected(running)) as client:
        client.sendall(b"GET /")
        with pytest.raises(OSError, match="reset|pipe"):
            while True:
                client.sendall(b"a")
    assert handler.calls == []


def test_the_longest_idle_client_makes_room(running, handler):
    """More clients than threads: who asks for nothing has to go."""
    with closing(connected(running)) as first, closing(connected(running)) as second:
        for client in (first, second):
            client.sendall(b"GET / HTTP/1.1\r\n\r\n")
            heard(client)
            resting = 0
            while resting < 2:  # the server is about to take note that it has answered
                with running._lock:
                    resting = sum(one.is_idle for one in running._connections)
        said = talk(running, b"GET /third HTTP/1.1\r\n\r\n")

        assert said.startswith(b"HTTP/1.1 200")
        assert heard(first) == b""
        second.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert heard(second).startswith(b"HTTP/1.1 200")


def test_a_busy_client_makes_room_with_its_answer(running, handler):
    """Where nobody is idle, who is answered next has to go."""
    handler.entered.clear()
    handler.released.clear()
    with closing(connected(running)) as first, closing(connected(running)) as second:
        for client in (first, second):
            client.sendall(b"GET / HTTP/1.1\r\n\r\n")
        with closing(connected(running)) as third:
            third.sendall(b"GET /third HTTP/1.1\r\n\r\n")
            while len(handler.calls) < 2 or not running._waiting:
                pass
            handler.released.set()
            assert heard(third).startswith(b"HTTP/1.1 200")
            said = [heard(client) for client in (first, second)]
    assert any(b"Connection: close" in one for one in said)


def test_stopping_finishes_what_is_under_way(handler):
    """An idle connection is closed, a request is answered first."""
    server = FileServer(handler, bind("127.0.0.1", 0))
    server.start()
    idle, busy = connected(server), connected(server)
    idle.sendall(b"GET / HTTP/1.1\r\n\r\n")
    heard(idle)
    handler.entered.clear()
    handler.released.clear()
    busy.sendall(b"GET / HTTP/1.1\r\n\r\n")
    assert handler.entered.wait(30)

    stopping = threading.Thread(target=server.stop)
    stopping.start()
    assert heard(idle) == b""
    handler.released.set()
    said = heard(busy, end=b"nothing ends so")
    stopping.join(30)

    assert said.startswith(b"HTTP/1.1 200")
    assert b"Connection: close" in said
    assert not stopping.is_alive()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(idle.getpeername())
    idle.close()
    busy.close()


def test_a_bug_in_the_server_ends_the_connection_only(running, handler, caplog):
    """It is logged, and the next client is served."""
    handler.bodies = None
    assert talk(running, b"GET / HTTP/1.1\r\n\r\n") == b""
    assert "by a bug" in caplog.text

    handler.bodies = []
    assert talk(running, b"GET / HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("place", [Crew, Connection], ids=["not watched", "gone"])
def test_a_client_that_cannot_be_served_is_turned_away(running, handler, monkeypatch, place):
    """The next one is served, and as many at a time as before."""

    def fail(*_):
        raise OSError("no room")

    for _ in range(3):  # more than there is room for
        with monkeypatch.context() as patched:
            patched.setattr(place, "watch" if place is Crew else "_prepare", fail)
            with suppress(ConnectionError):
                assert talk(running, b"GET / HTTP/1.1\r\n\r\n") == b""
    for _ in range(3):
        assert talk(running, b"GET / HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 200")


def test_the_target_may_be_an_address(running, handler):
    """As a client sends it to a proxy; the host in it does not count."""
    talk(running, b"GET http://h:1/a%2Fb?c=d HTTP/1.1\r\nHost: x\r\n\r\n")

    (call,) = handler.calls
    assert (call.raw_path, call.parameters) == (b"/a%2Fb", (("c", "d"),))


@pytest.mark.parametrize("size", [1, 64 * 1024 + 1, 9 * 2**20])
def test_parts_of_files(running, handler, tmp_path, size):
    """Small ones go with the headers, large ones past this process; the file is closed."""
    path = tmp_path / "f"
    path.write_bytes(os.urandom(size))
    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=30)
    for verb in ("HEAD", "GET", "GET"):
        part = FilePart(FileIO(path), ByteRange(0, size - 1))
        handler.answer = Answer(200, (), part)
        connection.request(verb, "/")
        response = connection.getresponse()
        assert response.getheader("content-length") == str(size)
        assert response.read() == (path.read_bytes() if verb == "GET" else b"")
    connection.close()
    running.stop()
    assert part.file.closed


@pytest.mark.parametrize("size", [10, 9 * 2**20])
def test_a_file_cut_short_ends_the_connection(running, handler, tmp_path, size):
    """The client sees that bytes are missing."""
    (tmp_path / "f").write_bytes(b"a" * (size - 1))
    handler.answer = Answer(200, (), FilePart(FileIO(tmp_path / "f"), ByteRange(0, size - 1)))
    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=30)
    connection.request("GET", "/")
    response = connection.getresponse()
    with pytest.raises(http.client.IncompleteRead):
        response.read()
    connection.close()


def test_https(handler, tmp_path):
    """The same by https; who speaks http to it gets nothing."""
    certificates = ensure_authority(tmp_path)
    files = TlsFiles(str(certificates.server_cert_file), str(certificates.server_key_file))
    server = FileServer(handler, bind("127.0.0.1", 0), tls=files)
    server.start()
    context = ssl.create_default_context(cafile=str(certificates.ca_file))
    body = os.urandom(4 * 2**20)
    connection = http.client.HTTPSConnection("127.0.0.1", server.port, context=context, timeout=30)
    for _ in range(2):
        connection.request("PUT", "/", body)
        assert connection.getresponse().read() == b"answer"
    (tmp_path / "f").write_bytes(body)
    handler.answer = Answer(200, (), FilePart(FileIO(tmp_path / "f"), ByteRange(0, len(body) - 1)))
    connection.request("GET", "/")
    assert connection.getresponse().read() == body
    connection.close()

    assert handler.bodies == [body, body, b""]
    assert {"https"} == {call.scheme for call in handler.calls}
    with suppress(ConnectionResetError):
        assert not talk(server, b"GET / HTTP/1.1\r\n\r\n").startswith(b"HTTP")
    server.stop()

"""The HTTP of azure-storage-file to a service on this machine, against a web server."""

import http.server
import threading
from http import HTTPStatus

import pytest
import requests

from batchai_recipes.staging.loopback_session import LoopbackSession


class _Echo(http.server.BaseHTTPRequestHandler):
    """Answers with what it was asked."""

    protocol_version = "HTTP/1.1"

    def do_PUT(self):
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length)
        if self.path == "/drop":
            self.close_connection = True
            return
        if self.path == "/away":
            self.send_response(302)
            self.send_header("Location", "/there")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        said = f"{self.command} {self.path} {self.headers.get('X-Ms-Name')} ".encode() + body
        self.send_response(201)
        self.send_header("ETag", '"1"')
        promised = len(said) + (self.path == "/short")
        self.send_header("Content-Length", str(promised))
        self.end_headers()
        self.wfile.write(said)
        self.close_connection = self.path == "/short"

    do_GET = do_PUT  # noqa: N815 - its name there

    def log_message(self, format, *args):  # noqa: A002 - its name there
        pass


@pytest.fixture(scope="module")
def endpoint():
    """The address of a web server."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Echo) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def session(endpoint):
    """A session for it."""
    with LoopbackSession(f"{endpoint}/account") as session:
        yield session


def test_a_request_goes_as_it_is(session, endpoint):
    """Path, query, headers and body; what is None is left out, what is empty is not."""
    response = session.request(
        "PUT",
        f"{endpoint}/account/a%20b/%C3%A9",
        params={"comp": "range", "prefix": "a b", "marker": None, "empty": ""},
        headers={"x-ms-name": "v", "x-ms-none": None},
        data=b"body",
        timeout=(5, 5),
        proxies=None,
    )

    assert response.status_code == HTTPStatus.CREATED
    assert response.reason == "Created"
    assert response.headers["etag"] == '"1"'
    path = "/account/a%20b/%C3%A9?comp=range&prefix=a+b&empty="
    assert response.content == f"PUT {path} v body".encode()
    response.close()


def test_redirections_are_answers(session, endpoint):
    """As nothing that was signed for one place is good for another."""
    response = session.request("PUT", f"{endpoint}/away", timeout=5)

    assert response.status_code == HTTPStatus.FOUND


@pytest.mark.parametrize("path", ["drop", "short"])
def test_no_whole_answer_is_an_error_of_requests(session, endpoint, path):
    """The client tries again, on a connection that works."""
    with pytest.raises(requests.ConnectionError):
        session.request("GET", f"{endpoint}/{path}", timeout=5)

    assert session.request("GET", f"{endpoint}/a", timeout=5).content == b"GET /a None "


def test_hooks_see_the_answers(session, endpoint):
    """As with any session of requests."""
    session.hooks["response"].append(lambda response, **_: response.headers.update({"seen": "yes"}))

    assert session.request("GET", f"{endpoint}/a", timeout=5).headers["seen"] == "yes"


def test_other_options_and_places_go_the_ordinary_way(session, endpoint):
    """What a user asks of the session as of any other of requests."""
    assert session.get(f"{endpoint}/away").url == f"{endpoint}/there"
    elsewhere = endpoint.replace("127.0.0.1", "localhost")
    assert session.request("GET", f"{elsewhere}/a", timeout=5).url == f"{elsewhere}/a"

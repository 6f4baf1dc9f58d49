"""Tests of `batchai_recipes.trainer.download`."""

import hashlib
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
import requests
import responses

from batchai_recipes.trainer.download import PublishedFile, download
from batchai_recipes.trainer.errors import DataError, DataUnavailableError

CONTENT = bytes(range(256)) * 1000
FILE = PublishedFile("digits.gz", len(CONTENT), hashlib.sha256(CONTENT).hexdigest())
FIRST = "https://first.example/mnist/"
SECOND = "https://second.example/mnist/"
PRIVATE = "https://me:secret@first.example/mnist/"


@pytest.fixture
def web():
    """The web, in which every answer that was set up must have been asked for."""
    with responses.RequestsMock(assert_all_requests_are_fired=True) as web:
        yield web


def fetch(folder, **options):
    """Download the file from the two mirrors."""
    return download(FILE, folder, mirrors=[FIRST, SECOND], timeout_s=5, **options)


def rest(start, content=CONTENT):
    """Return an answer to a request for the rest of the file."""
    headers = {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"}
    return {"status": 206, "body": content[start:], "headers": headers}


def asks_for(span):
    """Match requests for a part of the file; None for those that ask for all of it."""

    def matches(request):
        return span == request.headers.get("Range"), f"asked for {request.headers.get('Range')}"

    return matches


def test_a_file_is_downloaded(tmp_path, web):
    """The first mirror's file arrives as it is, and the caller sees it coming."""
    web.get(FIRST + FILE.name, body=CONTENT)
    steps = []

    path = fetch(tmp_path / "cache", progress=lambda *step: steps.append(step))

    assert tmp_path / "cache" / "digits.gz" == path
    assert path.read_bytes() == CONTENT
    assert ("digits.gz", len(CONTENT), len(CONTENT)) == steps[-1]
    assert sorted(steps) == steps
    assert len(steps) > 1
    assert web.calls[0].request.headers["Accept-Encoding"] == "identity"


def test_a_file_that_is_there_is_not_downloaded(tmp_path, web):
    """An intact file costs no request."""
    (tmp_path / FILE.name).write_bytes(CONTENT)

    assert tmp_path / FILE.name == fetch(tmp_path)
    assert len(web.calls) == 0


@pytest.mark.parametrize("damaged", [CONTENT[:-1], CONTENT[:-1] + b"?"])
def test_a_damaged_file_is_downloaded_again(tmp_path, web, damaged):
    """What is in the cache is checked before it is used."""
    (tmp_path / FILE.name).write_bytes(damaged)
    web.get(FIRST + FILE.name, body=CONTENT)

    assert fetch(tmp_path).read_bytes() == CONTENT


def test_a_download_is_resumed(tmp_path, web):
    """Only what is missing is asked for."""
    (tmp_path / "digits.gz.part").write_bytes(CONTENT[:1000])
    web.get(FIRST + FILE.name, match=[asks_for("bytes=1000-")], **rest(1000))

    assert fetch(tmp_path).read_bytes() == CONTENT
    assert not (tmp_path / "digits.gz.part").exists()


def test_a_mirror_may_ignore_ranges(tmp_path, web):
    """A mirror that sends the whole file instead of its rest replaces what was there."""
    (tmp_path / "digits.gz.part").write_bytes(CONTENT[:1000])
    web.get(FIRST + FILE.name, match=[asks_for("bytes=1000-")], body=CONTENT)

    assert fetch(tmp_path).read_bytes() == CONTENT


def test_a_complete_part_is_only_checked(tmp_path, web):
    """A download that was interrupted after its last byte needs no request."""
    (tmp_path / "digits.gz.part").write_bytes(CONTENT)

    assert fetch(tmp_path).read_bytes() == CONTENT
    assert len(web.calls) == 0


@pytest.mark.parametrize("size", [1000, len(CONTENT), len(CONTENT) + 1])
def test_a_damaged_part_is_given_up(tmp_path, web, size):
    """When what was resumed was not part of this file, the same mirror is asked for all of it."""
    (tmp_path / "digits.gz.part").write_bytes(b"?" * size)
    if size < len(CONTENT):
        web.get(FIRST + FILE.name, match=[asks_for(f"bytes={size}-")], **rest(size))
    web.get(FIRST + FILE.name, match=[asks_for(None)], body=CONTENT)

    assert fetch(tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize(
    "answer",
    [
        {"body": b"?" * len(CONTENT)},
        {"body": CONTENT + b"?"},
        {"status": 404},
        {"body": requests.ConnectionError("no route to host")},
        {"status": 206, "body": CONTENT, "headers": {"Content-Range": "bytes 5-9/10"}},
    ],
    ids=["other content", "too long", "not found", "unreachable", "another range"],
)
def test_the_next_mirror_is_asked(tmp_path, web, answer):
    """A mirror that does not give the file is passed over."""
    web.get(FIRST + FILE.name, **answer)
    web.get(SECOND + FILE.name, match=[asks_for(None)], body=CONTENT)

    assert fetch(tmp_path).read_bytes() == CONTENT


def test_the_next_mirror_goes_on_where_one_stopped(tmp_path, web):
    """What a broken download brought is not asked for again."""
    web.get(FIRST + FILE.name, body=CONTENT[:1000])
    web.get(SECOND + FILE.name, match=[asks_for("bytes=1000-")], **rest(1000))

    assert fetch(tmp_path).read_bytes() == CONTENT


def test_when_no_mirror_has_it_every_reason_is_told(tmp_path, web):
    """The error names each mirror and what it did."""
    web.get(FIRST + FILE.name, status=503)
    web.get(SECOND + FILE.name, body=b"?" * len(CONTENT))

    with pytest.raises(DataUnavailableError) as failure:
        fetch(tmp_path)

    expected = (
        "digits.gz could not be downloaded:\n"
        "  https://first.example/mnist/: answers 503 Service Unavailable\n"
        "  https://second.example/mnist/: gave another file (its SHA-256 is not the published one)"
    )
    assert expected == str(failure.value)
    assert not (tmp_path / FILE.name).exists()


def test_a_password_in_an_address_is_not_shown(tmp_path, web):
    """The credentials of a private mirror stay out of the error."""
    web.get(PRIVATE + FILE.name, body=requests.ConnectionError("refused"))

    with pytest.raises(DataUnavailableError) as failure:
        download(FILE, tmp_path, mirrors=[PRIVATE], timeout_s=5)

    assert "\n  https://first.example/mnist/: refused" in str(failure.value)
    assert "secret" not in str(failure.value)


def test_an_unreachable_host_is_told_in_one_line(tmp_path):
    """The reason is the last cause, without the classes that carried it."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        mirror = f"http://127.0.0.1:{unused.getsockname()[1]}/"
        with pytest.raises(DataUnavailableError) as failure:
            download(FILE, tmp_path, mirrors=[mirror], timeout_s=5)

    reason = str(failure.value).partition(f"{mirror}: ")[2]
    assert "Connection refused" in reason
    assert "0x" not in reason


@contextmanager
def dripping_server():
    """A server whose answer never ends its first line, though there is always a further byte."""
    stop = threading.Event()

    def drip(listener):
        connection, _ = listener.accept()
        with connection:
            connection.sendall(b"HTTP/1.1 200 ")
            while not stop.wait(0.01):
                connection.sendall(b"O")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=drip, args=[listener])
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        stop.set()
        thread.join()


def test_a_mirror_without_an_answer_is_not_waited_for(tmp_path):
    """There is an end to waiting even where each single wait is short."""
    with dripping_server() as mirror, pytest.raises(DataUnavailableError, match="no answer within"):
        download(FILE, tmp_path, mirrors=[mirror], timeout_s=0.2)


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    """A cache that is no folder is an error of its own, not one of the network."""
    (tmp_path / "cache").write_text("")

    with pytest.raises(DataError, match=r"cache: File exists$") as failure:
        fetch(tmp_path / "cache")

    assert not isinstance(failure.value, DataUnavailableError)


def test_a_file_is_downloaded_by_one_at_a_time(tmp_path, web):
    """Of two programs that want a file at once, one fetches it and the other finds it."""
    web.get(FIRST + FILE.name, body=CONTENT)
    with ThreadPoolExecutor() as pool:
        paths = list(pool.map(lambda _: fetch(tmp_path), range(2)))

    assert [tmp_path / FILE.name] * 2 == paths
    assert len(web.calls) == 1

"""Ranges over plain HTTP."""

import base64
import hashlib
import http.client
import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from batchai_recipes.service.files.tree import ShareTree

MIB = 2**20
UPDATE = {"x-ms-write": "update", "x-ms-range": "bytes=2-4"}


@pytest.fixture
def file(server, share):
    """The target of Put Range for a file of ten digits."""
    headers = {"x-ms-type": "file", "x-ms-content-length": "10"}
    assert server.signed("PUT", "/data/f", headers, b"0123456789").status == 201
    return "/data/f?comp=range"


def content(server):
    """Return what is on disk."""
    return (server.folder("data") / "f").read_bytes()


def test_a_range_is_written(server, file):
    """The bytes land where they belong, and the answer carries what newer clients sort by."""
    reply = server.signed("PUT", file, UPDATE, b"abc")

    assert (reply.status, content(server)) == (201, b"01abc56789")
    assert {"etag", "last-modified"} <= set(reply.headers)


def test_the_standard_range_header_writes_too(server, file):
    """Range does where x-ms-range is missing."""
    reply = server.signed("PUT", file, {"x-ms-write": "Update", "range": "bytes=9-9"}, b"x")

    assert (reply.status, content(server)) == (201, b"012345678x")


@pytest.mark.parametrize(
    ("headers", "body", "status", "code"),
    [
        ({"x-ms-write": "update"}, b"abc", 400, "MissingRequiredHeader"),
        ({"x-ms-range": "bytes=2-4"}, b"abc", 400, "MissingRequiredHeader"),
        ({**UPDATE, "x-ms-write": "append"}, b"abc", 400, "InvalidHeaderValue"),
        ({**UPDATE, "x-ms-range": "bytes=2-"}, b"abc", 400, "InvalidHeaderValue"),
        ({**UPDATE, "x-ms-range": "bytes=4-2"}, b"abc", 400, "InvalidHeaderValue"),
        (UPDATE, b"ab", 400, "InvalidHeaderValue"),
        (UPDATE, b"abcd", 400, "InvalidHeaderValue"),
        (UPDATE, None, 400, "InvalidHeaderValue"),
        ({**UPDATE, "x-ms-range": "bytes=8-10"}, b"abc", 416, "InvalidRange"),
        ({**UPDATE, "content-md5": "AAAA"}, b"abc", 400, "InvalidMd5"),
        (
            {**UPDATE, "content-md5": base64.b64encode(bytes(16)).decode()},
            b"abc",
            400,
            "Md5Mismatch",
        ),
        ({**UPDATE, "x-ms-write": "clear"}, b"abc", 400, "InvalidHeaderValue"),
        ({"x-ms-write": "clear", "x-ms-range": "bytes=8-10"}, None, 416, "InvalidRange"),
    ],
)
def test_a_range_that_does_not_fit_changes_nothing(server, file, *, headers, body, status, code):
    """Whatever does not agree is refused, and the file stays as it was."""
    reply = server.signed("PUT", file, headers, body)

    assert (status, code) == (reply.status, reply.code)
    assert content(server) == b"0123456789"


def test_the_md5_of_a_range_is_checked_and_returned(server, file):
    """The right one is accepted."""
    digest = base64.b64encode(hashlib.md5(b"abc").digest()).decode()

    reply = server.signed("PUT", file, {**UPDATE, "content-md5": digest}, b"abc")

    assert (201, digest) == (reply.status, reply.headers["content-md5"])


def test_clearing(server, file):
    """A cleared range reads as zeros."""
    reply = server.signed("PUT", file, {"x-ms-write": "clear", "x-ms-range": "bytes=1-8"})

    assert (201, b"0" + bytes(8) + b"9") == (reply.status, content(server))


def test_a_body_over_four_mib_is_refused(server, share):
    """413, whether the length is told before or the body comes in pieces."""
    server.signed("PUT", "/data/f", {"x-ms-type": "file", "x-ms-content-length": str(9 * MIB)})
    headers = {"x-ms-write": "update", "x-ms-range": f"bytes=0-{4 * MIB}"}

    told = server.signed("PUT", "/data/f?comp=range", headers, bytes(4 * MIB + 1))
    assert (told.status, told.code) == (413, "RequestBodyTooLarge")

    raw, chunked = server.sign(
        "PUT", "/data/f?comp=range", {**headers, "transfer-encoding": "chunked"}
    )
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    pieces = (bytes(MIB) for _ in range(5))
    connection.request("PUT", raw, pieces, chunked, encode_chunked=True)
    response = connection.getresponse()
    assert (
        response.status,
        response.getheader("x-ms-error-code"),
    ) == (413, "RequestBodyTooLarge")
    connection.close()
    assert not any(content(server))


def test_exactly_four_mib_are_accepted(server, share):
    """The largest range that Azure allows."""
    server.signed("PUT", "/data/f", {"x-ms-type": "file", "x-ms-content-length": str(4 * MIB)})
    body = os.urandom(4 * MIB)
    headers = {"x-ms-write": "update", "x-ms-range": f"bytes=0-{4 * MIB - 1}"}

    assert server.signed("PUT", "/data/f?comp=range", headers, body).status == 201
    assert body == content(server)


def test_parallel_ranges_all_land(server, share):
    """Many writers to one file, out of order, lose nothing."""
    size, count = 1 << 16, 64
    server.signed("PUT", "/data/f", {"x-ms-type": "file", "x-ms-content-length": str(size * count)})

    def put(number):
        start = number * size
        headers = {"x-ms-write": "update", "x-ms-range": f"bytes={start}-{start + size - 1}"}
        return server.signed("PUT", "/data/f?comp=range", headers, bytes([number]) * size)

    with ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(put, sorted(range(count), key=lambda n: n % 7)))

    assert {201} == {reply.status for reply in replies}
    assert count == len({reply.headers["etag"] for reply in replies})
    assert b"".join(bytes([number]) * size for number in range(count)) == content(server)


def test_a_range_that_is_broken_off_changes_nothing(server, file):
    """What arrives by halves is not written."""
    raw, headers = server.sign("PUT", file, UPDATE, "3")
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.request("PUT", raw, b"ab", {**headers, "content-length": "3"})
    connection.close()

    assert server.signed("GET", "/data/f").status == 200
    assert content(server) == b"0123456789"


def test_ranges_are_listed(server, file):
    """The list covers what was written, and the answer tells the size."""
    reply = server.signed("GET", "/data/f?comp=rangelist")

    assert (reply.status, reply.headers["x-ms-content-length"]) == (200, "10")
    assert b"<Ranges><Range><Start>0</Start><End>9</End></Range></Ranges>" in reply.body
    part = server.signed("GET", "/data/f?comp=rangelist", {"x-ms-range": "bytes=3-5"})
    assert b"<Range><Start>3</Start><End>5</End></Range>" in part.body
    beyond = server.signed("GET", "/data/f?comp=rangelist", {"x-ms-range": "bytes=10-"})
    assert (beyond.status, beyond.code) == (416, "InvalidRange")


def test_a_range_goes_into_the_file_that_took_the_place(server, file, client, share, monkeypatch):
    """A copy that replaces the file at the last moment takes nothing away."""
    client.create_file_from_bytes(share, None, "other", b"b" * 10)
    real, copied = ShareTree.open_file, []

    def open_and_be_late(tree, path, *, writable):
        descriptor = real(tree, path, writable=writable)
        if writable and not copied:
            copied.append(path)
            source = f"{server.base}/batchtest/{share}/other"
            reply = server.signed("PUT", f"/{share}/f", {"x-ms-copy-source": source})
            assert reply.status == 202
        return descriptor

    monkeypatch.setattr(ShareTree, "open_file", open_and_be_late)
    reply = server.signed("PUT", file, UPDATE, b"xyz")

    assert reply.status == 201
    assert copied
    assert content(server) == b"bbxyzbbbbb"

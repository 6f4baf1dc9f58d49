"""Files over plain HTTP: what Azure's client cannot send."""

import base64
import hashlib
import os

import pytest

CREATE = {"x-ms-type": "file", "x-ms-content-length": "5"}


def names_in(folder):
    """Return the names in a folder."""
    return sorted(item.name for item in folder.iterdir())


@pytest.fixture
def file(server, share):
    """The target of a file of ten digits."""
    reply = server.signed(
        "PUT", "/data/f", {"x-ms-type": "file", "x-ms-content-length": "10"}, b"0123456789"
    )
    assert reply.status == 201
    return "/data/f"


def test_a_file_is_made_with_its_body(server, share):
    """Newer clients send the first bytes along; the rest is zeros."""
    reply = server.signed("PUT", "/data/f", {**CREATE, "x-ms-meta-Kind": "x"}, b"123")

    assert reply.status == 201
    assert (server.folder(share) / "f").read_bytes() == b"123\0\0"
    assert server.signed("GET", "/data/f").body == b"123\0\0"


def test_making_a_file_replaces_it(server, file):
    """Nothing of the old content is left."""
    assert server.signed("PUT", file.upper().replace("DATA", "data"), CREATE).status == 201

    assert bytes(5) == server.signed("GET", file).body
    assert names_in(server.folder("data")) == ["f"]


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"x-ms-content-length": "5"}, "MissingRequiredHeader"),
        ({"x-ms-type": "file"}, "MissingRequiredHeader"),
        ({**CREATE, "x-ms-type": "blob"}, "InvalidHeaderValue"),
        ({**CREATE, "x-ms-content-length": "-1"}, "InvalidHeaderValue"),
        ({**CREATE, "x-ms-content-length": "5.0"}, "InvalidHeaderValue"),
        ({**CREATE, "x-ms-content-length": str(2**42 + 1)}, "InvalidHeaderValue"),
        ({**CREATE, "x-ms-content-length": "9" * 5000}, "InvalidHeaderValue"),
        ({**CREATE, "x-ms-content-length": "²"}, "InvalidHeaderValue"),
        ({**CREATE, "x-ms-content-md5": "no md5"}, "InvalidMd5"),
        ({**CREATE, "x-ms-meta-": "x"}, "EmptyMetadataKey"),
        ({**CREATE, "x-ms-meta-a": "x" * 8192}, "MetadataTooLarge"),
        ({**CREATE, "x-ms-copy-source": "http://127.0.0.1/x"}, "InvalidHeaderValue"),
        ({**CREATE, "x-ms-lease-id": "x"}, "LeaseNotPresentWithFileOperation"),
    ],
)
def test_a_file_is_not_made_of_nonsense(server, share, headers, code):
    """Each header that cannot be used is named, and nothing is made."""
    reply = server.signed("PUT", "/data/f", headers)

    assert code == reply.code
    assert reply.status in {400, 412}
    assert names_in(server.folder(share)) == []


def test_a_body_larger_than_the_file_is_refused(server, share):
    """The size says how much there can be."""
    reply = server.signed("PUT", "/data/f", CREATE, b"123456")

    assert (reply.status, reply.code) == (400, "InvalidHeaderValue")


def test_the_largest_size_is_sparse(server, share):
    """4 TiB take no room until they are written."""
    size = 4 * 2**40

    reply = server.signed("PUT", "/data/f", {**CREATE, "x-ms-content-length": str(size)})

    head = server.signed("HEAD", "/data/f")
    assert (201, str(size)) == (reply.status, head.headers["content-length"])
    last = server.signed("GET", "/data/f", {"x-ms-range": f"bytes={size - 1}-"})
    assert (last.status, last.body) == (206, b"\0")


def test_the_answer_to_a_get(server, file):
    """All that clients look at is there."""
    reply = server.signed("GET", file, {"x-ms-client-request-id": "mine"})

    assert (reply.status, reply.body) == (200, b"0123456789")
    assert reply.headers["content-length"] == "10"
    assert reply.headers["x-ms-type"] == "File"
    assert reply.headers["x-ms-client-request-id"] == "mine"
    assert reply.headers["content-type"] == "application/octet-stream"
    assert reply.headers["x-ms-file-attributes"] == "Archive"
    assert {"date", "etag", "last-modified", "x-ms-request-id", "x-ms-version"} <= set(
        reply.headers
    )


def test_old_clients_get_no_headers_that_they_do_not_know(server, file):
    """Before 2019-02-02 there was nothing of SMB in the headers."""
    reply = server.signed("GET", file, {"x-ms-version": "2018-03-28"})

    assert reply.status == 200
    assert not [name for name in reply.headers if name.startswith("x-ms-file-")]


@pytest.mark.parametrize(
    ("headers", "body", "content_range"),
    [
        ({"x-ms-range": "bytes=0-"}, b"0123456789", "bytes 0-9/10"),
        ({"range": "bytes=2-4"}, b"234", "bytes 2-4/10"),
        ({"range": "bytes=8-99"}, b"89", "bytes 8-9/10"),
        ({"range": "bytes=-3"}, b"789", "bytes 7-9/10"),
        ({"x-ms-range": "bytes=1-1", "range": "bytes=5-6"}, b"1", "bytes 1-1/10"),
    ],
)
def test_ranges_of_a_file(server, file, headers, body, content_range):
    """Both headers ask for a part; x-ms-range wins."""
    reply = server.signed("GET", file, headers)

    assert (206, body) == (reply.status, reply.body)
    assert content_range == reply.headers["content-range"]
    assert str(len(body)) == reply.headers["content-length"]


def test_a_range_beyond_the_end(server, file):
    """416 says how long the file is; clients ask again without a range."""
    reply = server.signed("GET", file, {"x-ms-range": "bytes=10-"})

    assert (reply.status, reply.code) == (416, "InvalidRange")
    assert reply.headers["content-range"] == "bytes */10"


def test_an_empty_file_has_no_range(server, share):
    """A download of an empty file begins with a range and goes on without."""
    server.signed("PUT", "/data/f", {**CREATE, "x-ms-content-length": "0"})

    assert server.signed("GET", "/data/f", {"x-ms-range": "bytes=0-33554431"}).status == 416
    whole = server.signed("GET", "/data/f")
    assert (whole.status, whole.headers["content-length"], whole.body) == (200, "0", b"")


def test_strange_ranges(server, file):
    """x-ms-range must be one; a Range that is none is ignored, as HTTP has it."""
    assert server.signed("GET", file, {"x-ms-range": "bytes=5-1"}).code == "InvalidHeaderValue"
    assert server.signed("GET", file, {"range": "bytes=0-1,3-4"}).status == 200


def test_the_md5_of_a_range(server, file):
    """A client may ask for it, for up to 4 MiB."""
    asks = {"x-ms-range-get-content-md5": "true"}
    part = server.signed("GET", file, {**asks, "x-ms-range": "bytes=0-3"})

    expected = base64.b64encode(hashlib.md5(b"0123").digest()).decode()
    assert (206, b"0123", expected) == (part.status, part.body, part.headers["content-md5"])
    assert server.signed("GET", file, asks).code == "InvalidHeaderValue"
    server.signed("PUT", "/data/big", {**CREATE, "x-ms-content-length": str(5 * 2**20)})
    too_large = server.signed("GET", "/data/big", {**asks, "x-ms-range": "bytes=0-"})
    assert too_large.code == "InvalidHeaderValue"


def test_head(server, file):
    """HEAD has the file's length and no body; for what is missing it still names the code."""
    found = server.signed("HEAD", file)
    assert (found.status, found.headers["content-length"], found.body) == (200, "10", b"")

    missing = server.signed("HEAD", "/data/nope")
    assert (missing.status, missing.code, missing.body) == (404, "ResourceNotFound", b"")
    assert server.signed("HEAD", "/data/no/pe").code == "ParentNotFound"
    assert server.signed("HEAD", "/nothing/f").code == "ShareNotFound"


def test_the_etag_tells_every_write(server, file):
    """Writes of clients and of jobs, of one size and in quick succession, all change it."""
    path = server.folder("data") / "f"

    def etag():
        return server.signed("HEAD", file).headers["etag"]

    seen = [etag()]
    assert seen == [etag()]
    for _ in range(20):
        written = server.signed(
            "PUT", f"{file}?comp=range", {"x-ms-write": "update", "x-ms-range": "bytes=0-0"}, b"x"
        )
        assert written.headers["etag"] == etag()
        seen.append(etag())
    path.write_bytes(b"9876543210")
    seen.append(etag())
    os.utime(path, ns=(0, 0))
    seen.append(etag())
    server.signed("PUT", f"{file}?comp=metadata", {"x-ms-meta-a": "b"})
    seen.append(etag())
    server.signed("PUT", f"{file}?comp=properties", {"x-ms-content-type": "a/b"})
    seen.append(etag())
    server.signed("PUT", file, {**CREATE, "x-ms-content-length": "10"})
    seen.append(etag())

    assert len(seen) == len(set(seen))
    assert all(text.startswith('"') and text.endswith('"') for text in seen)


def test_a_file_that_a_job_put_in_place_has_no_old_metadata(server, file):
    """A rename over the file makes it another file."""
    server.signed("PUT", f"{file}?comp=metadata", {"x-ms-meta-a": "b"})
    new = server.folder("data") / "new"
    new.write_text("new")
    new.rename(server.folder("data") / "f")

    assert "x-ms-meta-a" not in server.signed("HEAD", file).headers


def test_names_ignore_case_and_keep_it(server, share):
    """A file is found under any case, and listed as it was made."""
    server.signed("PUT", "/data/Stra%C3%9Fe?restype=directory")
    server.signed("PUT", "/data/STRA%C3%9FE/File.TXT", CREATE)

    assert server.signed("GET", "/data/stra%C3%9Fe/FILE.txt").status == 200
    assert server.signed("GET", "/data/strasse/File.TXT").status == 404
    listing = server.signed("GET", "/data/strA%C3%9FE?restype=directory&comp=list").body
    assert b"<Name>File.TXT</Name>" in listing


def test_files_and_directories_are_told_apart(server, file):
    """An operation on the wrong one says so."""
    server.signed("PUT", "/data/d?restype=directory")

    for verb, target, headers in (
        ("GET", "/data/d", {}),
        ("PUT", "/data/d", CREATE),
        ("DELETE", "/data/d", {}),
        ("GET", f"{file}?restype=directory", {}),
        ("GET", f"{file}?restype=directory&comp=list", {}),
        ("PUT", f"{file}?restype=directory", {}),
        ("DELETE", f"{file}?restype=directory", {}),
    ):
        reply = server.signed(verb, target, headers)
        assert (reply.status, reply.code) == (409, "ResourceTypeMismatch"), (verb, target)
    assert server.signed("GET", f"{file}/below").code == "ParentNotFound"

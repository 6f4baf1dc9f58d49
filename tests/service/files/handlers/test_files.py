"""Files over plain HTTP: what Azure's client cannot send."""

import base64
import contextlib
import hashlib
import http.client
import os
import resource
import stat
from pathlib import Path

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


TRICKS = [
    "/data/../../secret",
    "/data/..",
    "/data/d/../../../secret",
    "/data/%2e%2e/%2E%2e/secret",
    "/data/..%2F..%2Fsecret",
    "/data/%2Fetc%2Fpasswd",
    "/data//etc/passwd",
    "/data/..%5C..%5Csecret",
    "/data/d%5C..%5Csecret",
    "/data/f%00",
    "/data/f%00.txt",
    "/data/C:%5Csecret",
    "/data/COM1",
    "/data/" + "x" * 256,
    "/data/" + "%C3%A9" * 200,
    "/data/" + "d/" * 251 + "f",
    "/data/%FF",
    "/../secret",
    "/%2e%2e/secret",
    "/data%2F..%2F..%2Fsecret",
]


@pytest.mark.parametrize("target", TRICKS)
def test_no_path_leads_out(server, share, target):
    """Reading, writing and deleting by a tricky path all end in a clear refusal."""
    server.signed("PUT", "/data/d?restype=directory")
    secret = server.state.root / "secret"
    secret.write_text("secret")
    before = sorted(str(path) for path in server.state.root.rglob("*"))

    for verb, headers in (("GET", {}), ("PUT", CREATE), ("DELETE", {}), ("HEAD", {})):
        reply = server.signed(verb, target, headers)
        assert reply.status in {400, 404, 405}, (verb, reply)
        assert reply.code
        assert reply.body != b"secret"
    server.signed("PUT", f"{target}?restype=directory")
    server.signed("GET", f"{target}?restype=directory&comp=list")

    assert secret.read_text() == "secret"
    assert before == sorted(str(path) for path in server.state.root.rglob("*"))


@pytest.fixture
def planted(server, share, tmp_path):
    """Symbolic links that a job made, to things outside of its share."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret")
    folder = server.folder(share)
    (folder / "directory").symlink_to(outside)
    (folder / "file").symlink_to(outside / "secret")
    (folder / "new").symlink_to(outside / "new")
    (folder / "loop").symlink_to("loop")
    return outside


def test_links_lead_nowhere(server, planted):
    """Nothing is read, written, listed or made through a symbolic link."""
    for verb, target, headers in (
        ("GET", "/data/file", {}),
        ("HEAD", "/data/file", {}),
        ("PUT", "/data/file", CREATE),
        ("PUT", "/data/new", CREATE),
        ("PUT", "/data/file?comp=properties", {"x-ms-content-length": "0"}),
        ("PUT", "/data/file?comp=metadata", {}),
        ("PUT", "/data/file?comp=range", {"x-ms-write": "clear", "x-ms-range": "bytes=0-1"}),
        ("GET", "/data/directory/secret", {}),
        ("PUT", "/data/directory/new", CREATE),
        ("DELETE", "/data/directory/secret", {}),
        ("GET", "/data/directory?restype=directory&comp=list", {}),
        ("PUT", "/data/directory/new?restype=directory", {}),
        ("PUT", "/data/directory?restype=directory", {}),
        ("DELETE", "/data/directory?restype=directory", {}),
        ("GET", "/data/loop", {}),
        ("GET", "/data/loop/x", {}),
    ):
        reply = server.signed(verb, target, headers)
        assert reply.status in {404, 409}, (verb, target, reply)
        assert reply.code in {"ResourceTypeMismatch", "ParentNotFound"}

    assert names_in(planted) == ["secret"]
    assert (planted / "secret").read_text() == "secret"
    listing = server.signed("GET", "/data?restype=directory&comp=list").body
    assert b"<Entries />" in listing


def test_a_link_can_be_deleted(server, planted):
    """The link goes, what it points to stays: otherwise its directory could never be emptied."""
    for name in ("file", "directory", "loop"):
        assert server.signed("DELETE", f"/data/{name}").status == 202

    assert (planted / "secret").read_text() == "secret"


def test_a_share_with_links_is_deleted_alone(server, planted):
    """Deleting the share follows no link."""
    assert server.signed("DELETE", "/data?restype=share").status == 202

    assert (planted / "secret").read_text() == "secret"


def test_a_fifo_keeps_nobody_waiting(server, share):
    """Other special files are not served."""
    os.mkfifo(server.folder(share) / "pipe")

    assert server.signed("GET", "/data/pipe").code == "ResourceTypeMismatch"
    assert server.signed("PUT", "/data/pipe", CREATE).code == "ResourceTypeMismatch"


def test_a_name_that_only_a_job_could_make_is_served(server, share):
    """Linux allows names that Azure does not; a job's output under one is not lost."""
    (server.folder(share) / "12:30.log").write_text("log")

    assert server.signed("GET", "/data/12:30.log").body == b"log"
    assert server.signed("GET", "/data/12:31.log").code == "InvalidResourceName"
    assert server.signed("PUT", "/data/12:31.log", CREATE).code == "InvalidResourceName"
    assert server.signed("DELETE", "/data/12:30.log").status == 202


def test_what_the_disk_cannot_hold_leaves_nothing(server, share):
    """A size that the disk refuses is told, and no empty file stays behind."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**24, hard))
    try:
        reply = server.signed("PUT", "/data/f", {**CREATE, "x-ms-content-length": str(2**24 + 1)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert (reply.status, reply.code) == (400, "InvalidHeaderValue")
    assert names_in(server.folder(share)) == []


def test_the_root_is_no_file(server, share):
    """An address that ends in slashes names the root directory."""
    for verb, headers in (("GET", {}), ("PUT", CREATE), ("DELETE", {})):
        assert server.signed(verb, "/data//", headers).code == "ResourceTypeMismatch"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everything")
def test_what_the_disk_denies_is_told(server, share):
    """A directory that a job made read-only is a conflict and no bug."""
    folder = server.folder(share) / "d"
    folder.mkdir(mode=stat.S_IRUSR | stat.S_IXUSR)

    reply = server.signed("PUT", "/data/d/f", CREATE)

    assert (reply.status, reply.code) == (409, "ReadOnlyAttribute")


def test_a_download_cut_short_by_a_job_ends_early(server, share):
    """A file that shrinks under a download breaks the connection: no client takes it for whole."""
    path = server.folder(share) / "f"
    with path.open("wb") as file:
        file.truncate(64 * 2**20)
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    raw, headers = server.sign("GET", "/data/f", {})
    connection.request("GET", raw, headers=headers)
    response = connection.getresponse()
    assert response.status == 200
    os.truncate(path, 0)

    with pytest.raises(http.client.IncompleteRead):
        response.read()
    connection.close()


def test_a_client_that_goes_away_leaves_no_file_open(server, share):
    """The file of a broken-off download is closed."""
    path = server.folder(share) / "f"
    with path.open("wb") as file:
        file.truncate(64 * 2**20)
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    raw, headers = server.sign("GET", "/data/f", {})
    connection.request("GET", raw, headers=headers)
    assert connection.getresponse().read(1) == b"\0"
    connection.close()

    # The server is told of the end by the event loop that also answers this request.
    for _ in range(1000):
        server.signed("GET", "/data?restype=share")
        if not _is_open(path):
            return
    pytest.fail("the file is still open")


def _is_open(path):
    found = []
    for descriptor in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found.append(descriptor.readlink())
    return path in found

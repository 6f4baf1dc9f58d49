"""What files withstand: paths and links that lead out, disks that refuse, clients that go."""

import contextlib
import http.client
import os
import resource
import stat
from pathlib import Path

import pytest

CREATE = {"x-ms-type": "file", "x-ms-content-length": "5"}
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


def names_in(folder):
    """Return the names in a folder."""
    return sorted(item.name for item in folder.iterdir())


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

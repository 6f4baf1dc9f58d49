"""Share snapshots: made, listed, read, compared, copied from, deleted."""

import warnings
from urllib.parse import quote
from xml.etree import ElementTree as ET

import pytest
from azure.core.exceptions import HttpResponseError
from azure.storage.file import FileService
from azure.storage.fileshare import ShareClient, ShareFileClient, ShareServiceClient

from batchai_recipes.service.files import snapshots

from .snapshot_requests import FILE, at, names_in, restart, snapshot


@pytest.fixture
def newest(server):
    """Azure's newest client."""
    with ShareServiceClient.from_connection_string(server.connection_string) as service:
        yield service


def test_a_snapshot_stays_as_it_was(server, data):
    """Whatever clients and jobs do to the share: content, metadata, headers, listings."""
    reads = [
        ("GET", "/data?restype=share"),
        ("GET", "/data?restype=share&comp=metadata"),
        ("GET", "/data?restype=directory"),
        ("GET", "/data/d?restype=directory"),
        ("GET", "/data/d?restype=directory&comp=metadata"),
        ("GET", "/data?restype=directory&comp=list"),
        ("GET", "/data/d?restype=directory&comp=list&include=Etag,Attributes"),
        ("GET", "/data/D/F.TXT"),
        ("HEAD", "/data/d/f.txt"),
        ("GET", "/data/d/f.txt?comp=metadata"),
        ("GET", "/data/d/f.txt?comp=rangelist"),
        ("GET", "/data/d/f.txt?comp=listhandles"),
    ]
    stamp = snapshot(server)

    def read_all():
        found = [server.signed(verb, at(target, stamp)) for verb, target in reads]
        assert {reply.status for reply in found} == {200}
        varying = ("date", "x-ms-request-id")
        return [
            (reply.body, {k: v for k, v in reply.headers.items() if k not in varying})
            for reply in found
        ]

    before = read_all()
    file = before[7]
    assert file[0] == b"0123456789"
    assert file[1]["x-ms-meta-kind"] == "first"
    assert f'ShareSnapshot="{stamp}"'.encode() in before[5][0]
    live = server.signed("HEAD", "/data/d/f.txt")
    assert live.headers["last-modified"] == file[1]["last-modified"]
    server.signed("PUT", "/data/d/f.txt", {**FILE, "x-ms-meta-Kind": "second"}, b"abc")
    server.signed("PUT", "/data/new", FILE)
    server.signed("PUT", "/data?restype=share&comp=metadata", {"x-ms-meta-of": "other"})
    (server.folder("data") / "d" / "job").write_text("job")
    with (server.folder("data") / "d" / "f.txt").open("r+") as changed:
        changed.write("in place")
    server.signed("DELETE", "/data/new")
    assert before == read_all()
    server.signed("DELETE", "/data/d/f.txt")
    assert before == read_all()


def test_azures_old_client(client, data):
    """Its own way of making, listing and reading snapshots."""
    made = client.snapshot_share(data, metadata={"a": "b"})
    client.delete_file(data, "d", "f.txt")

    listed = list(client.list_shares(include_snapshots=True, include_metadata=True))

    assert [(item.name, item.snapshot, item.metadata) for item in listed] == [
        ("data", made.snapshot, {"a": "b"}),
        ("data", None, {"of": "share"}),
    ]
    text = client.get_file_to_text(data, "d", "f.txt", snapshot=made.snapshot).content
    assert text == "0123456789"
    assert client.exists(data, "d", "f.txt", snapshot=made.snapshot)
    assert not client.exists(data, "d", "f.txt")
    found = client.list_directories_and_files(data, "d", snapshot=made.snapshot)
    assert [item.name for item in found] == ["f.txt"]
    assert client.get_share_metadata(data, snapshot=made.snapshot) == {"a": "b"}
    with pytest.raises(Exception, match="ShareHasSnapshots"):
        client.delete_share(data)
    assert client.delete_share(data, snapshot=made.snapshot)
    assert client.delete_share(data)


def test_azures_newest_client(server, newest, data):
    """Reading, restoring by a copy, and deleting the share with its snapshots."""
    share = newest.get_share_client(data)
    stamp = share.create_snapshot()["snapshot"]
    share.get_file_client("d/f.txt").delete_file()

    with ShareClient.from_connection_string(server.connection_string, data, snapshot=stamp) as old:
        assert old.get_share_properties().metadata == {"of": "share"}
        assert [item.name for item in old.list_directories_and_files()] == ["d"]
        lost = old.get_file_client("d/f.txt")
        assert lost.download_file().readall() == b"0123456789"
        share.get_file_client("d/f.txt").start_copy_from_url(lost.url)
    assert share.get_file_client("d/f.txt").download_file().readall() == b"0123456789"
    metadata = share.get_file_client("d/f.txt").get_file_properties().metadata
    assert metadata == {"Kind": "first"}
    assert [item.snapshot for item in newest.list_shares(include_snapshots=True)] == [stamp, None]
    share.delete_share(delete_snapshots=True)
    assert list(newest.list_shares(include_snapshots=True)) == []
    assert names_in(server.folder(data).parent) in ([], [".snapshots"])
    assert list(server.state.shares.glob("*/.snapshots/*")) == []


def test_a_sas_of_a_share_reads_its_snapshots(server, client, data):
    """As it does in Azure; it deletes none."""
    stamp = snapshot(server)
    client.delete_file(data, "d", "f.txt")
    expiry = f"{server.clock.now().year + 1}-01-01"
    token = client.generate_share_shared_access_signature(data, "rdl", expiry)
    with ShareFileClient(
        f"{server.base}/batchtest", data, "d/f.txt", snapshot=stamp, credential=token
    ) as file:
        assert file.download_file().readall() == b"0123456789"

    guest = FileService(
        connection_string=f"FileEndpoint={server.base}/batchtest;SharedAccessSignature={token}"
    )
    with pytest.raises(Exception, match="AuthorizationResourceTypeMismatch"):
        guest.delete_share(data, snapshot=stamp)
    guest.request_session.close()


@pytest.mark.parametrize(
    ("verb", "target", "headers", "body"),
    [
        ("PUT", "/data/new", FILE, None),
        ("PUT", "/data/new?restype=directory", {}, None),
        ("PUT", "/data/d/f.txt?comp=range",
         {"x-ms-write": "update", "x-ms-range": "bytes=0-0"}, b"x"),
        ("PUT", "/data/d/f.txt?comp=properties", {"x-ms-content-length": "1"}, None),
        ("PUT", "/data/d/f.txt?comp=metadata", {}, None),
        ("PUT", "/data/d/f.txt?comp=lease", {"x-ms-lease-action": "acquire"}, None),
        ("PUT", "/data/d?restype=directory&comp=metadata", {}, None),
        ("DELETE", "/data/d/f.txt", {}, None),
        ("DELETE", "/data/d?restype=directory", {}, None),
        ("PUT", "/data?restype=share&comp=metadata", {}, None),
        ("PUT", "/data?restype=share&comp=properties", {}, None),
        ("PUT", "/data?restype=share&comp=acl", {}, None),
        ("PUT", "/data?restype=share&comp=lease", {"x-ms-lease-action": "acquire"}, None),
        ("PUT", "/data?restype=share&comp=snapshot", {}, None),
        ("PUT", "/data/copy", {"x-ms-copy-source": "http://127.0.0.1/batchtest/data/d"}, None),
    ],
)  # fmt: skip
def test_nothing_is_written_to_a_snapshot(server, data, verb, target, headers, body):
    """Nor to the share in its place."""
    stamp = snapshot(server)
    files = {path: path.read_bytes() for path in server.state.shares.rglob("*") if path.is_file()}

    reply = server.signed(verb, at(target, stamp), headers, body)

    assert (reply.status, reply.code) == (409, "ShareSnapshotOperationNotSupported")
    after = {path: path.read_bytes() for path in server.state.shares.rglob("*") if path.is_file()}
    assert files == after


def test_nothing_is_taken_out_of_a_snapshot(server, data):
    """A rename would."""
    stamp = snapshot(server)
    source = at(f"{server.base}/batchtest/data/d/f.txt", stamp)

    reply = server.signed("PUT", "/data/g?comp=rename", {"x-ms-file-rename-source": source})

    assert reply.code == "ShareSnapshotOperationNotSupported"


@pytest.mark.parametrize(
    ("stamp", "status", "code"),
    [
        ("2020-01-01T00:00:00.0000000Z", 404, "ShareSnapshotNotFound"),
        ("2020-01-01T00:00:00Z", 404, "ShareSnapshotNotFound"),
        ("../../data", 400, "InvalidQueryParameterValue"),
        ("yesterday", 400, "InvalidQueryParameterValue"),
    ],
)
def test_a_snapshot_that_is_not_there(server, data, stamp, status, code):
    """For reading, and for deleting."""
    for verb, target in (("GET", "/data/d/f.txt"), ("DELETE", "/data?restype=share")):
        reply = server.signed(verb, at(target, stamp))
        assert (reply.status, reply.code) == (status, code)


def test_the_time_of_a_snapshot_may_be_written_shorter(server, data):
    """Some clients drop zeros at its end."""
    stamp = snapshot(server)
    shorter = f"{stamp.rstrip('Z').rstrip('0')}Z"

    assert shorter != stamp
    assert server.signed("GET", at("/data/d/f.txt", shorter)).status == 200


@pytest.mark.parametrize("which", ["only", "", "all"])
def test_what_to_do_with_snapshots_on_deletion(server, data, which):
    """Shares know one answer; a single snapshot has none."""
    stamp = snapshot(server)
    header = {"x-ms-delete-snapshots": which}

    assert server.signed("DELETE", "/data?restype=share", header).code == "InvalidHeaderValue"
    one = at("/data?restype=share", stamp)
    include = {"x-ms-delete-snapshots": "include"}
    assert server.signed("DELETE", one, include).code == "InvalidHeaderValue"
    assert server.signed("DELETE", one).status == 202
    assert server.signed("GET", one).code == "ShareSnapshotNotFound"
    assert list(server.state.shares.glob("*/.snapshots/data/*")) == []
    assert server.signed("DELETE", "/data?restype=share").status == 202


def test_the_etag_of_a_snapshot(server, data):
    """The share's own, unless it has metadata of its own."""
    live = server.signed("GET", "/data?restype=share").headers["etag"]
    same, other = snapshot(server), snapshot(server, headers={"x-ms-meta-x": "y"})

    etags = [
        server.signed("GET", at("/data?restype=share", s)).headers["etag"] for s in (same, other)
    ]

    assert etags[0] == live != etags[1]
    assert server.signed("GET", "/data?restype=share").headers["etag"] == live


def test_snapshots_are_listed_in_pages(server, client, share):
    """Each before its share, the oldest first; none twice."""
    client.create_share("other")
    stamps = [snapshot(server) for _ in range(3)]
    snapshot(server, "other")
    found, marker = [], ""
    while True:
        target = f"?comp=list&include=snapshots&maxresults=2&marker={quote(marker)}"
        root = ET.fromstring(server.signed("GET", target).body)
        found.extend(
            (item.findtext("Name"), item.findtext("Snapshot")) for item in root.find("Shares")
        )
        marker = root.findtext("NextMarker")
        if not marker:
            break

    assert found[:4] == [*(("data", stamp) for stamp in stamps), ("data", None)]
    assert [name for name, _ in found[4:]] == ["other", "other"]
    assert stamps == sorted(set(stamps))
    plain = ET.fromstring(server.signed("GET", "?comp=list").body)
    assert len(plain.find("Shares")) == 2


def test_a_clock_that_goes_back_names_later_snapshots_later(server, share):
    """Also after a restart, which forgets the last time given out."""
    first = snapshot(server)
    server.clock.advance(hours=-1)
    restart(server)

    assert snapshot(server) > first


def test_a_share_has_so_many_snapshots(server, share, monkeypatch):
    """Two here."""
    monkeypatch.setattr(snapshots, "MOST", 2)
    snapshot(server)
    snapshot(server)

    reply = server.signed("PUT", "/data?restype=share&comp=snapshot")

    assert (reply.status, reply.code) == (409, "ShareSnapshotCountExceeded")


def diff(file, *arguments, **options):
    """Ask for changed ranges by the call that releases before 12.27 have too."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return file.get_ranges_diff(*arguments, **options)


def test_ranges_that_changed_since_a_snapshot(server, newest, client, share):
    """In blocks of 4096 bytes: other data, no data any more, and nothing where nothing changed."""
    block = 4096
    client.create_file_from_bytes(share, None, "f", b"a" * (4 * block))
    client.create_file_from_bytes(share, None, "gone", b"a")
    file = newest.get_share_client(share).get_file_client("f")
    first = newest.get_share_client(share).create_snapshot()["snapshot"]
    assert diff(file, first) == ([], [])
    file.upload_range(b"b" * 10, offset=block + 5, length=10)
    file.clear_range(offset=3 * block, length=block)
    file.resize_file(6 * block)
    file.upload_range(b"c", offset=6 * block - 1, length=1)
    client.create_file_from_bytes(share, None, "new", b"abc")
    changed = [{"start": block, "end": 2 * block - 1}, {"start": 5 * block, "end": 6 * block - 1}]

    assert diff(file, first) == (changed, [{"start": 3 * block, "end": 4 * block - 1}])
    part = diff(file, first, offset=block + 100, length=50)
    assert part == ([{"start": block + 100, "end": block + 149}], [])
    new = newest.get_share_client(share).get_file_client("new")
    assert diff(new, first) == ([{"start": 0, "end": 2}], [])
    second = newest.get_share_client(share).create_snapshot()["snapshot"]
    file.upload_range(b"d", offset=0, length=1)
    query = f"/{share}/f?comp=rangelist&prevsharesnapshot={quote(first)}"
    between = ET.fromstring(server.signed("GET", at(query, second)).body)
    assert [item.findtext("Start") for item in between] == [
        str(number * block) for number in (1, 3, 5)
    ]
    with pytest.raises(HttpResponseError) as caught:
        diff(file, "2020-01-01T00:00:00.0000000Z")
    assert caught.value.error_code == "PreviousSnapshotNotFound"


def test_a_new_share_has_no_snapshots_of_an_old_one(server, client, data):
    """Also where a crash left their folders."""
    stamp = snapshot(server)
    left = server.state.share_snapshot("batchtest", data, stamp)
    client.delete_share(data, delete_snapshots="include")
    left.mkdir(parents=True)
    (left / "old").write_text("old")

    client.create_share(data)

    assert server.signed("GET", at("/data/old", stamp)).code == "ShareSnapshotNotFound"
    assert not left.exists()

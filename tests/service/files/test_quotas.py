"""A share holds what its quota says, and no more."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from azure.common import AzureHttpError

from batchai_recipes.service.files.paths import Location, SharePath
from batchai_recipes.service.files.quotas import Quotas
from batchai_recipes.service.files.shares import Shares

GIB = 2**30


@pytest.fixture
def small(client):
    """The name of a share of 1 GiB."""
    client.create_share("small", quota=1)
    return "small"


def refused(call, *arguments):
    """Expect that a request would exceed the quota."""
    with pytest.raises(AzureHttpError) as caught:
        call(*arguments)
    assert caught.value.error_code == "ShareSizeLimitReached"


def test_files_fill_a_share(client, small, server):
    """Creating, growing and copying stop at the quota; nothing is left of what was refused."""
    client.create_file(small, None, "a", GIB - 10)
    client.create_file(small, None, "b", 10)

    refused(client.create_file, small, None, "c", 1)
    refused(client.resize_file, small, None, "b", 11)
    refused(client.copy_file, small, None, "c", f"{server.base}/batchtest/{small}/b")

    assert sorted(item.name for item in server.folder(small).iterdir()) == ["a", "b"]
    assert client.get_file_properties(small, None, "b").properties.content_length == 10
    client.create_file(small, None, "c", 0)


def test_what_goes_makes_room(client, small, server):
    """Deletion and shrinking count, by clients and by jobs; so does a larger quota."""
    client.create_file(small, None, "a", GIB)

    client.resize_file(small, None, "a", GIB - 5)
    client.create_file(small, None, "b", 5)
    client.delete_file(small, None, "b")
    client.create_file(small, None, "c", 5)
    (server.folder(small) / "c").unlink()
    client.create_file(small, None, "d", 5)
    refused(client.create_file, small, None, "e", 1)
    client.set_share_properties(small, 2)
    client.create_file(small, None, "e", GIB)


def test_replacing_a_file_takes_the_difference(client, small):
    """The old content makes room for the new."""
    client.create_file(small, None, "a", GIB)

    client.create_file(small, None, "a", GIB)

    refused(client.create_file, small, None, "a", GIB + 1)


def test_a_share_of_the_same_name_starts_anew(client, small):
    """What a deleted one held does not count."""
    client.create_file(small, None, "a", GIB)
    client.delete_share(small)

    client.create_share(small, quota=1)
    client.create_file(small, None, "a", GIB)


def test_a_disk_that_is_full_for_records(server, client, small):
    """Metadata that cannot be recorded is refused, not a bug; the share stays as it is."""
    client.create_file(small, None, "f", 1, metadata={"a": "b"})
    limited = {"x-ms-meta-a": "x" * 4000}
    # SQLite takes the present size instead.
    server.store._writer._connection.execute("PRAGMA max_page_count=1")
    target = f"/{small}/f?comp=metadata"
    replies = [server.signed("PUT", target, limited) for _ in range(40)]
    new = {"x-ms-type": "file", "x-ms-content-length": "1", **limited}
    with ThreadPoolExecutor(8) as pool:  # some share a commit with one that fails
        created = list(pool.map(lambda n: server.signed("PUT", f"/{small}/g{n}", new), range(80)))

    codes = {(reply.status, reply.code) for reply in replies + created}
    assert codes <= {(200, ""), (201, ""), (409, "InsufficientDiskSpace")}
    assert created[-1].code == "InsufficientDiskSpace"
    assert not (server.folder(small) / "g79").exists()
    assert client.get_file_properties(small, None, "f").properties.content_length == 1


def usages(quotas):
    """Return the names of the shares of which something is kept."""
    return [share for _, share, _ in quotas._usages]


@pytest.fixture
def measured(server):
    """Quotas of two shares, and the shares."""
    shares = Shares(server.store, server.state, server.clock)
    for name in ("one", "two"):
        shares.create("batchtest", name)
    return Quotas(shares), shares


def place(share):
    """Return the place of a file."""
    return Location("batchtest", share, SharePath.parse("a"))


def test_nobody_waits_while_another_share_is_measured(measured, monkeypatch):
    """That takes a while where it is large."""
    quotas, shares = measured
    begun, done = threading.Event(), threading.Event()

    def usage(_account, name):
        if name == "one":
            begun.set()
            assert done.wait(30)
        return 0

    monkeypatch.setattr(shares, "usage", usage)
    with ThreadPoolExecutor(2) as pool:
        slow = pool.submit(quotas.reserve, place("one"), 1)
        assert begun.wait(30)
        try:
            pool.submit(quotas.reserve, place("two"), 1).result(10)
        finally:
            done.set()
        slow.result(30)


def test_shares_that_are_gone_are_forgotten(measured, monkeypatch):
    """What was measured long ago is of no use anyway."""
    quotas, _ = measured
    quotas.reserve(place("one"), 1)
    assert usages(quotas) == ["one"]
    monkeypatch.setattr("batchai_recipes.service.files.quotas._SECONDS_VALID", -1)
    quotas.reserve(place("two"), 1)
    assert usages(quotas) == ["two"]

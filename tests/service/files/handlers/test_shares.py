"""Shares over plain HTTP."""

from datetime import timedelta

import pytest
import requests


def names_in(folder):
    """Return the names in a folder."""
    return sorted(item.name for item in folder.iterdir())


@pytest.mark.parametrize("name", ["ab", "Data", "a--b", "-ab", "..", "a_b", "a" * 64])
def test_names_of_shares(server, name):
    """Azure's rules for names hold."""
    reply = server.signed("PUT", f"/{name}?restype=share")

    assert (reply.status, reply.code) == (400, "InvalidResourceName")
    assert not (server.state.shares / "batchtest").exists()


@pytest.mark.parametrize("quota", ["0", "-1", "102401", "many", "1.5", "9" * 5000, ""])
def test_quotas(server, quota):
    """A quota is whole GiB, up to 100 TiB."""
    reply = server.signed("PUT", "/data?restype=share", {"x-ms-share-quota": quota})

    assert (reply.status, reply.code) == (400, "InvalidHeaderValue")


def test_a_share_that_is_missing(server):
    """Every operation on it says so."""
    for verb, query in (
        ("GET", "restype=share"),
        ("HEAD", "restype=share"),
        ("DELETE", "restype=share"),
        ("GET", "restype=share&comp=metadata"),
        ("PUT", "restype=share&comp=metadata"),
        ("PUT", "restype=share&comp=properties"),
        ("GET", "restype=share&comp=stats"),
        ("GET", "restype=directory&comp=list"),
    ):
        reply = server.signed(verb, f"/data?{query}")
        assert (reply.status, reply.code) == (404, "ShareNotFound"), (verb, query)


def test_a_deleted_share_leaves_nothing(server, client, share):
    """Its files, its records and its folder go; a new share of the name is empty."""
    client.create_directory(share, "d")
    client.create_file(share, "d", "f", 1, metadata={"a": "b"})

    assert server.signed("DELETE", "/data?restype=share").status == 202

    assert names_in(server.state.shares / "batchtest") == []
    with server.store.read() as records:
        assert records.execute("SELECT count(*) FROM file_entries").fetchone()[0] == 0
    client.create_share(share)
    assert list(client.list_directories_and_files(share)) == []


def test_pages_of_shares(server, client):
    """Each page leads to the next; a share made meanwhile repeats nothing."""
    for name in ("aaa", "bbb", "ccc", "ddd"):
        client.create_share(name)
    first = client.list_shares(num_results=2)
    client.create_share("aab")

    second = client.list_shares(num_results=2, marker=first.next_marker)

    assert [share.name for share in first] == ["aaa", "bbb"]
    assert [share.name for share in second] == ["ccc", "ddd"]
    assert second.next_marker is None


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("maxresults=0", "OutOfRangeQueryParameterValue"),
        ("maxresults=-5", "OutOfRangeQueryParameterValue"),
        ("maxresults=x", "InvalidQueryParameterValue"),
        ("marker=%FF", "InvalidQueryParameterValue"),
        ("marker=a", "InvalidQueryParameterValue"),
    ],
)
def test_pages_that_cannot_be(server, query, code):
    """A page is asked for in numbers and markers of ours."""
    reply = server.signed("GET", f"?comp=list&{query}")

    assert (400, code) == (reply.status, reply.code)


def test_more_than_the_largest_page_is_the_largest_page(server):
    """5000 is the most."""
    reply = server.signed("GET", f"?comp=list&maxresults={'9' * 4500}&include=")

    assert reply.status == 200
    assert b"<MaxResults>5000</MaxResults>" in reply.body


def test_both_keys_see_the_same(server, share):
    """There is one account behind both keys, in path style and in host style."""
    reply = server.signed("GET", "?comp=list", key=server.account.key2)

    assert b"<Name>data</Name>" in reply.body
    assert f'ServiceEndpoint="{server.base}/batchtest/"'.encode() in reply.body


def test_host_style(server, client, share):
    """The account may stand in the host name, as it does in Azure."""
    client.create_file_from_text(share, None, "f", "hello")
    token = client.generate_file_shared_access_signature(
        share, None, "f", "r", server.clock.now() + timedelta(hours=1)
    )

    reply = requests.get(
        f"{server.base}/data/f?{token}", headers={"Host": "batchtest.file.localhost"}, timeout=30
    )

    assert (reply.status_code, reply.text) == (200, "hello")

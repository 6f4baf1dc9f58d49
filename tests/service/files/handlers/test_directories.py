"""Directories over plain HTTP."""

import os
from urllib.parse import unquote
from xml.etree import ElementTree as ET

import pytest

LIST = "restype=directory&comp=list"


def listed(server, target="/data", query=""):
    """Return kinds and names of a listing, and its next marker."""
    reply = server.signed("GET", f"{target}?{LIST}{query}")
    assert reply.status == 200
    root = ET.fromstring(reply.body)
    entries = [(item.tag, item.findtext("Name")) for item in root.find("Entries")]
    assert all(item.find("Properties") is not None for item in root.find("Entries"))
    return entries, root.findtext("NextMarker")


@pytest.fixture
def tree(server, share):
    """A share that a job filled."""
    folder = server.folder(share)
    for name in ("b", "D"):
        (folder / name).mkdir()
    for name in ("A.txt", "a2.txt", "c", "é"):
        (folder / name).write_text("x")
    return folder


def test_a_listing_mixes_files_and_directories_in_one_order(server, tree):
    """Order goes by name without case."""
    entries, marker = listed(server)

    assert entries == [
        ("File", "A.txt"),
        ("File", "a2.txt"),
        ("Directory", "b"),
        ("File", "c"),
        ("Directory", "D"),
        ("File", "é"),
    ]
    assert not marker


def test_pages_and_prefixes(server, tree):
    """Pages follow each other while things come and go; a prefix ignores case."""
    first, marker = listed(server, query="&maxresults=2")
    (tree / "a1").write_text("")
    (tree / "A.txt").unlink()
    second, rest = listed(server, query=f"&maxresults=3&marker={marker}")
    third, end = listed(server, query=f"&maxresults=3&marker={rest}")

    assert [name for _, name in first] == ["A.txt", "a2.txt"]
    assert [name for _, name in second] == ["b", "c", "D"]
    assert ([name for _, name in third], end) == (["é"], "")
    assert [name for _, name in listed(server, query="&prefix=A")[0]] == ["a1", "a2.txt"]
    assert listed(server, query="&prefix=%25")[0] == []


def test_names_that_xml_cannot_hold_are_encoded(server, share):
    """A job may make any name; a client still gets it whole."""
    names = ["tab\there", "line\nbreak", "\x01", " edge ", "<&>\"'"]
    for name in names:
        (server.folder(share) / name).write_text("")

    reply = server.signed("GET", f"/data?{LIST}")

    found = [
        unquote(item.text) if item.get("Encoded") == "true" else item.text
        for item in ET.fromstring(reply.body).iter("Name")
    ]
    assert sorted(names) == sorted(found)


def test_names_that_no_address_could_name_are_left_out(server, share):
    """A name that is not UTF-8 would break the document."""
    os.mknod(os.fsencode(server.folder(share)) + b"/\xff")

    assert listed(server) == ([], "")


def test_the_root_is_a_directory(server, share):
    """It has properties and a listing; it is neither made nor deleted by itself."""
    assert server.signed("GET", "/data?restype=directory").status == 200
    assert server.signed("PUT", "/data?restype=directory").code == "ResourceAlreadyExists"
    assert server.signed("DELETE", "/data?restype=directory").code == "InvalidResourceName"


def test_a_directory_made_by_a_job(server, tree):
    """It has properties like one of a client, and takes metadata."""
    reply = server.signed("GET", "/data/B?restype=directory")
    assert (reply.status, reply.headers["x-ms-file-attributes"]) == (200, "Directory")

    server.signed("PUT", "/data/b?restype=directory&comp=metadata", {"x-ms-meta-Kind": "é"})

    after = server.signed("HEAD", "/data/b?restype=directory")
    assert after.headers["x-ms-meta-kind"] == "é"
    assert reply.headers["etag"] != after.headers["etag"]


def test_a_directory_whose_path_is_escaped_whole(server, share):
    """Newer clients write nested directories with %2F."""
    server.signed("PUT", "/data/p?restype=directory")

    assert server.signed("PUT", "/data/p%2Fq?restype=directory").status == 201
    assert server.signed("GET", "/data/p/q?restype=directory").status == 200
    assert listed(server, "/data/p")[0] == [("Directory", "q")]


def test_making_a_directory_twice(server, share):
    """The second time is a conflict, in any case of the letters."""
    assert server.signed("PUT", "/data/dir?restype=directory").status == 201

    reply = server.signed("PUT", "/data/DIR?restype=directory")

    assert (reply.status, reply.code) == (409, "ResourceAlreadyExists")


def test_what_is_not_there(server, share):
    """A missing directory and a missing parent are told apart."""
    assert server.signed("GET", f"/data/no?{LIST}").code == "ResourceNotFound"
    assert server.signed("DELETE", "/data/no?restype=directory").code == "ResourceNotFound"
    assert server.signed("GET", f"/data/no/no?{LIST}").code == "ParentNotFound"
    assert server.signed("PUT", "/data/no/no?restype=directory").code == "ParentNotFound"

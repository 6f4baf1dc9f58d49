"""Requests that mean harm: refused with Azure's codes, and nothing outside a share is touched."""

import base64
import hmac
import threading
from hashlib import sha256
from urllib.parse import quote, urlencode

import pytest
import requests

from batchai_recipes.service.files.accounts import Accounts

FILE = {"x-ms-type": "file", "x-ms-content-length": "1"}
RANGE = {"x-ms-write": "update", "x-ms-range": "bytes=0-0"}
# As they stand in a request line, where `..` is not taken away by a client.
TRICKS = [
    "..", "../outside", "../../outside", "d/../../outside", "%2e%2e/outside", "%2E./outside",
    "..%2foutside", "%2e%2e%2foutside", "d%2f..%2f..%2foutside", "....//outside/..",
    "/etc/passwd/..", "d/./outside", ".", "%2e", "a%00b", "d/%00", "%00", "..%5coutside",
    "..\\outside", "c:%5coutside", "C:/outside/..", "con", "AUX", "lpt1", "a%0ab", "a%7cb", "a*b",
    "a%3fb", "%22", "%3c", "%ff%fe", "%c0%ae%c0%ae/outside", "x" * 256, "/".join(["d"] * 251),
    quote("é") * 256, "a/" * 200 + "../" * 202 + "outside",
]  # fmt: skip


def everything(folder):
    """Return all that is in a folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
        if ".db" not in path.name
    }


@pytest.fixture
def outside(server, share, tmp_path):
    """A secret beside the state directory, one beside the share, and a directory in it."""
    (tmp_path / "outside").write_text("secret")
    (server.folder(share).parent / "outside").write_text("secret")
    (server.folder(share) / "d").mkdir()
    return tmp_path


@pytest.mark.parametrize("trick", TRICKS, ids=lambda trick: trick[:30])
def test_no_operation_leaves_the_share(server, outside, trick):
    """Whatever the request asks for, and on whichever side of it the path stands."""
    before = everything(outside)
    url = f"{server.base}/batchtest/data/{trick}"
    requests_made = [
        ("GET", f"/data/{trick}", {}, None),
        ("HEAD", f"/data/{trick}", {}, None),
        ("GET", f"/data/{trick}?restype=directory&comp=list", {}, None),
        ("GET", f"/data/{trick}?comp=rangelist", {}, None),
        ("PUT", f"/data/{trick}", FILE, None),
        ("PUT", f"/data/{trick}?comp=range", RANGE, b"x"),
        ("PUT", f"/data/{trick}?comp=metadata", {"x-ms-meta-a": "b"}, None),
        ("PUT", f"/data/{trick}?comp=properties", {"x-ms-content-length": "0"}, None),
        ("PUT", f"/data/{trick}?restype=directory", {}, None),
        ("PUT", f"/data/{trick}?comp=rename",
         {"x-ms-file-rename-source": f"{server.base}/batchtest/data/d"}, None),
        ("PUT", "/data/copy", {"x-ms-copy-source": url}, None),
        ("PUT", "/data/moved?comp=rename", {"x-ms-file-rename-source": url}, None),
        ("DELETE", f"/data/{trick}", {}, None),
        ("DELETE", f"/data/{trick}?restype=directory", {}, None),
    ]  # fmt: skip

    replies = [server.signed(*made) for made in requests_made]

    assert [reply.status for reply in replies if not 400 <= reply.status < 500] == []
    assert all(reply.code for reply in replies)
    assert b"secret" not in b"".join(reply.body for reply in replies)
    assert everything(outside) == before


@pytest.mark.parametrize("name", ["..", "%2e%2e", ".snapshots", ".copy-x", "DATA", "d", "a--b"])
def test_no_name_of_a_share_leads_elsewhere(server, outside, name):
    """Nor to what the service keeps beside the shares."""
    before = everything(outside)
    for verb, query in (("PUT", "restype=share"), ("GET", "restype=share"),
                        ("DELETE", "restype=share"), ("GET", "restype=directory&comp=list"),
                        ("PUT", "restype=share&comp=snapshot")):  # fmt: skip
        reply = server.signed(verb, f"/{name}?{query}")
        assert (reply.status, reply.code) == (400, "InvalidResourceName")
    assert everything(outside) == before


def test_a_job_that_swaps_directories_for_links_lets_nobody_out(server, share, tmp_path):
    """While clients write, make, rename and delete: nothing appears or changes outside."""
    folder, outside = server.folder(share), tmp_path / "elsewhere"
    outside.mkdir()
    (outside / "f").write_text("secret")
    (folder / "real").mkdir()
    (folder / "real" / "f").write_text("inside")
    stop = threading.Event()

    def swap():
        while not stop.is_set():
            (folder / "real").rename(folder / "d")
            (folder / "d").rename(folder / "real")
            (folder / "d").symlink_to(outside)
            (folder / "d").unlink()

    job = threading.Thread(target=swap)
    job.start()
    statuses = set()
    source = {"x-ms-file-rename-source": f"{server.base}/batchtest/data/d/f"}
    back = {"x-ms-file-rename-source": f"{server.base}/batchtest/data/g"}
    copy = {"x-ms-copy-source": f"{server.base}/batchtest/data/d/f"}
    try:
        for number in range(60):
            for verb, target, headers, body in (
                ("PUT", "/data/d/f?comp=range", RANGE, b"X"),
                ("PUT", f"/data/d/new{number}", FILE, None),
                ("PUT", f"/data/d/dir{number}?restype=directory", {}, None),
                ("DELETE", f"/data/d/new{number}", {}, None),
                ("PUT", "/data/g?comp=rename", source, None),
                ("PUT", "/data/d/f?comp=rename", back, None),
                ("PUT", "/data/copied", copy, None),
                ("PUT", "/data/d/f?comp=properties", {"x-ms-content-length": "6"}, None),
            ):
                statuses.add(server.signed(verb, target, headers, body).status)
    finally:
        stop.set()
        job.join()

    assert everything(outside) == {"f": b"secret"}
    assert {status for status in statuses if status >= 500} == set()
    copied = folder / "copied"
    assert not copied.exists() or b"secret" not in copied.read_bytes()


def sas(server, fields, resource, key=None):
    """Sign a service SAS by hand, as the documentation has it."""
    text = "\n".join(
        [
            *(fields.get(name, "") for name in ("sp", "st", "se")),
            resource,
            *(fields.get(name, "") for name in ("si", "sip", "spr", "sv")),
            *[""] * 5,
        ]
    )
    raw = base64.b64decode(key or server.account.key1)
    digest = hmac.new(raw, text.encode(), sha256).digest()
    return urlencode({**fields, "sig": base64.b64encode(digest).decode()})


@pytest.fixture
def two_accounts(server, client, share):
    """A second account with keys of its own and a share of the same name; files in both."""
    keys = [base64.b64encode(name.encode()).decode() for name in ("other1", "other2")]
    Accounts(server.store).create("othertest", *keys)
    client.create_share("data2")
    for name in ("data", "data2"):
        client.create_directory(name, "d")
        for path in ("f", "f2"):
            client.create_file_from_text(name, "d", path, "text")
        client.create_file_from_text(name, None, "f", "text")
    return keys


def test_a_sas_is_good_for_what_it_names_and_nothing_else(server, two_accounts):
    """Not for another file, directory, share or account, nor under another key."""
    fields = {"sv": "2021-06-08", "se": "2099-01-01", "sp": "rwdlc"}
    of_file = sas(server, {**fields, "sr": "f"}, "/file/batchtest/data/d/f")
    of_share = sas(server, {**fields, "sr": "s"}, "/file/batchtest/data")
    foreign = sas(server, {**fields, "sr": "s"}, "/file/batchtest/data", key=two_accounts[0])
    failed, mismatch = "AuthenticationFailed", "AuthorizationResourceTypeMismatch"
    cases = [
        ("batchtest/data/d/f", of_file, None),
        ("batchtest/data/d%2Ff", of_file, None),
        ("batchtest/data/d/f2", of_file, failed),
        ("batchtest/data/f", of_file, failed),
        ("batchtest/data2/d/f", of_file, failed),
        ("othertest/data/d/f", of_file, failed),
        ("batchtest/data/d/F", of_file, failed),
        ("batchtest/data/d/f/../f2", of_file, failed),
        ("batchtest/data/d?restype=directory&comp=list", of_file, failed),
        ("batchtest/data/d/f?restype=directory", of_file, mismatch),
        ("batchtest/data/d/f2", of_share, None),
        ("batchtest/data?restype=directory&comp=list", of_share, None),
        ("batchtest/data2/d/f", of_share, failed),
        ("othertest/data/d/f", of_share, failed),
        ("batchtest/data?restype=share", of_share, mismatch),
        ("batchtest/data?restype=share&comp=acl", of_share, mismatch),
        ("batchtest/?comp=list", of_share, failed),
        ("batchtest/data/f", foreign, failed),
        ("batchtest/data/f", of_share.replace("sr=s", "sr=f"), failed),
        ("batchtest/data/f", of_share + "&sp=r", None),
        ("batchtest/data/f", "sp=rwdl&" + of_share.replace("rwdlc", "r"), failed),
        ("batchtest/data/f", of_share[:-4], failed),
        ("batchtest/data/f", of_share.replace("sig=", "sig=%00"), failed),
        ("batchtest/data/f", f"{of_share.partition('sig=')[0]}sig=", "NoAuthenticationInformation"),
    ]
    found = []
    for target, token, _ in cases:
        joiner = "&" if "?" in target else "?"
        reply = server.send("GET", f"/{target}{joiner}{token}", {})
        found.append((target, None if reply.status == 200 else reply.code))

    assert found == [(target, code) for target, _, code in cases]


@pytest.mark.parametrize(
    "authorization",
    [
        "SharedKey batchtest:", "SharedKey :AAAA", "SharedKey batchtest", "SharedKey",
        "sharedkey x:y:z", "SharedKey batchtest:" + "A" * 10_000, "SharedKeyLite batchtest:AAAA",
        "Bearer", "Bearer ", "Bearer a.b.c", "Basic YTpi", "Negotiate x", ",",
        "SharedKey othertest:AAAA", "SharedKey batchtest:====", "SharedKey BATCHTEST:AAAA",
    ],
    ids=lambda text: text[:24],
)  # fmt: skip
def test_an_authorization_that_is_none(server, share, authorization):
    """A 4xx with a code and, where it was a signature, what the service signed."""
    headers = {"authorization": authorization, "x-ms-version": "2021-06-08"}
    reply = server.send("GET", "/batchtest/data?restype=share", headers)

    assert reply.status in {400, 401, 403}
    assert reply.code in {
        "AuthenticationFailed", "InvalidAuthenticationInfo", "NoAuthenticationInformation",
    }  # fmt: skip
    for key in server.account.keys:
        assert key.encode() not in reply.body


def test_every_part_of_a_signed_request_is_covered(server, share):
    """One bit of anything signed, and the signature is good for nothing."""
    raw, given = server.sign("PUT", "/data/f?timeout=30", {**FILE, "content-type": "a/b"})
    changes = [
        ("PUT", raw.replace("timeout=30", "timeout=31"), {}),
        ("PUT", raw.replace("/data/f", "/data/g"), {}),
        ("PUT", raw + "&comp=range", {}),
        ("POST", raw, {}),
        ("PUT", raw, {"x-ms-content-length": "2"}),
        ("PUT", raw, {"x-ms-version": "2020-02-10"}),
        ("PUT", raw, {"x-ms-extra": "1"}),
        ("PUT", raw, {"content-type": "a/c"}),
        ("PUT", raw, {"content-md5": "AAAAAAAAAAAAAAAAAAAAAA=="}),
        ("PUT", raw, {"if-match": "*"}),
        ("PUT", raw, {"x-ms-date": given["x-ms-date"].replace("GMT", "UTC")}),
        ("PUT", raw, {"authorization": given["authorization"].replace(":", ":A", 1)}),
    ]

    codes = [server.send(verb, target, {**given, **more}).code for verb, target, more in changes]

    assert codes == ["AuthenticationFailed"] * len(changes)
    assert list(server.folder(share).iterdir()) == []
    assert server.send("PUT", raw, given).status == 201


def test_a_signature_is_compared_in_constant_time(server, share, monkeypatch):
    """Each key and each order of headers is compared, whichever fits."""
    compared = []
    real = hmac.compare_digest

    def compare(one, other):
        compared.append(one)
        return real(one, other)

    monkeypatch.setattr("batchai_recipes.service.files.signing.hmac.compare_digest", compare)
    counts = []
    for key in (*server.account.keys, base64.b64encode(b"no key").decode()):
        compared.clear()
        server.signed("GET", "/data?restype=share", {"x-ms-client-request-id": key}, key=key)
        counts.append(len(compared))

    assert len(set(counts)) == 1
    assert counts[0] >= 2


def test_requests_that_no_client_would_make(server, share):
    """Each gets an answer that is no 5xx, or a closed connection."""
    for target in ("/batchtest/data/f?" + "a=b&" * 3000, "/batchtest/data/f?x=" + "%" * 100,
                   "/batchtest/data/f?comp=%00", "/batchtest/data/f?sig=%ff&sv=2021-06-08&sr=f",
                   "//", "/%", "/batchtest/%", "/batchtest//data//f"):  # fmt: skip
        reply = server.send("GET", target, {"x-ms-version": "2021-06-08"})
        assert reply.status < 500, target
    url = f"{server.base}/batchtest/data?restype=share"
    assert requests.get(url, headers={"x-ms-version": "é".encode()}, timeout=30).status_code == 401

"""Moving a staging to its share, on the level of HTTP."""

import base64
import hashlib
import json
import os
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from batchai_recipes import FileShareStaging, StagingError
from batchai_recipes.staging.drafts import DIRECTORY
from batchai_recipes.staging.upload import INDEX, create_share, upload

WRITTEN = (201, {"ETag": '"0x1"', "Last-Modified": "now"}, "")
CONTENT = b"print()"
ENTRY = {"train.py": [len(CONTENT), hashlib.sha256(CONTENT).hexdigest(), "0x1"]}


def listing(*files, directories=()):
    """Return the listing of a directory: names, sizes and entity tags of its files."""
    entries = [f"<Directory><Name>{name}</Name><Properties/></Directory>" for name in directories]
    entries += [
        f"<File><Name>{name}</Name><Properties><Content-Length>{size}</Content-Length>{etag}"
        "</Properties></File>"
        for name, size, etag in files
    ]
    text = f"<EnumerationResults><Entries>{''.join(entries)}</Entries><NextMarker/>"
    return (200, {"Content-Type": "application/xml"}, text + "</EnumerationResults>")


def index(files):
    """Return an index of staged files as a share would."""
    text = json.dumps({"format": 1, "files": files})
    return (206, {"Content-Range": f"bytes 0-{len(text) - 1}/{len(text)}"}, text)


def etag(value):
    """Return an entity tag as listings write it."""
    return f"<Etag>{value}</Etag>"


def made(share):
    """Return the last part of the path of each PUT, the drafts' directory under a short name."""
    return ["drafts" if name.startswith(DIRECTORY) else name for name in share.made("PUT")]


@pytest.fixture
def share(endpoint):
    """A share that is empty and takes everything."""
    endpoint.raw("GET", "/data", listing())
    endpoint.raw("PUT", ".*", WRITTEN)
    return endpoint


@pytest.fixture
def script(tmp_path):
    """A script to stage."""
    (tmp_path / "train.py").write_bytes(CONTENT)
    return tmp_path / "train.py"


def staged_before(share, entity_tag, files=ENTRY, size=7):
    """Make the share one that the script was staged to before."""
    share.raw("GET", "/data", listing(("train.py", size, entity_tag), (INDEX, 9, "")))
    share.raw("GET", f"/data/{INDEX}", index(files))


def test_directories_come_before_files_and_parents_before_children(share, connection, script):
    """Azure Files makes no missing parents."""
    staging = FileShareStaging("data").directory("x/y").upload(script)
    said = []

    upload(connection, staging, said.append)

    assert made(share) == ["x", "y", "drafts", "0", "0", "train.py", INDEX, INDEX]
    assert said == ["Uploaded x/y/train.py (7 bytes)"]


def test_the_manifest_says_what_was_staged(share, connection, script):
    """Sizes and hashes, and which files were sent."""
    manifest = upload(connection, FileShareStaging("data").upload(script), str)
    staged = manifest["train.py"]

    assert [staged.size, staged.sha256, staged.etag] == ENTRY["train.py"]
    assert manifest.sent == ("train.py",)


def test_the_hash_is_in_the_files_metadata(share, connection, script):
    """For whoever looks at the file alone."""
    upload(connection, FileShareStaging("data").upload(script), str)
    sent = [r.headers.get("x-ms-meta-batchai_sha256") for r in share.requests]

    assert ENTRY["train.py"][1] in sent


def test_an_unchanged_file_costs_a_listing_and_the_index(share, connection, script):
    """Where listings tell entity tags."""
    staged_before(share, etag("&quot;0x1&quot;"))
    said = []
    manifest = upload(connection, FileShareStaging("data").upload(script), said.append)

    assert [call.split("/")[-1] for call in share.calls] == ["data", INDEX]
    assert manifest.sent == ()
    assert said == ["Unchanged on share data: 1 files (7 bytes)"]
    asked = parse_qs(urlsplit(share.requests[0].url).query)
    assert asked["include"] == ["Timestamps,ETag"]


def test_an_endpoint_that_lists_no_entity_tags_is_asked_for_each(share, connection, script):
    """As all were before 2020."""
    staged_before(share, "")
    share.raw("HEAD", "/train.py", (200, {"ETag": '"0x1"', "Content-Length": "7"}, ""))
    manifest = upload(connection, FileShareStaging("data").upload(script), str)

    assert (manifest.sent, share.made("HEAD")) == ((), ["train.py"])


@pytest.mark.parametrize(
    "change",
    [
        lambda share, script: staged_before(share, etag("0x2")),
        lambda share, script: staged_before(share, etag("0x1"), size=8),
        lambda share, script: staged_before(share, etag("0x1"), files={}),
        lambda share, script: staged_before(share, etag("0x1"), files={"train.py": "damaged"}),
        lambda share, script: staged_before(share, "") or share.on("HEAD", "/train.py", 404),
        lambda share, script: staged_before(share, etag("0x1")) or script.write_bytes(b"PRINT()"),
        lambda share, script: staged_before(share, etag("0x1")) or script.write_bytes(b"longer()"),
    ],
    ids=["etag", "size", "unknown", "damaged index", "deleted", "local content", "local size"],
)
def test_a_file_that_differs_anywhere_is_sent_again(share, connection, script, change):
    """No stale file is taken for the new one."""
    change(share, script)
    manifest = upload(connection, FileShareStaging("data").upload(script), str)

    assert manifest.sent == ("train.py",)
    assert made(share) == ["drafts", "0", "0", "train.py", INDEX, INDEX]


def test_a_dropped_connection_is_taken_up_again(share, connection, script, monkeypatch):
    """By the client's retries, which do not really wait here."""
    monkeypatch.setattr("time.sleep", lambda _: None)
    share.raw("PUT", "/0", WRITTEN, requests.ConnectionError("reset by peer"), WRITTEN)
    upload(connection, FileShareStaging("data").upload(script), str)

    assert share.made("PUT").count("0") == 3


def test_a_file_sent_half_is_not_in_the_index_and_the_others_are(share, connection, tmp_path):
    """The next staging sends it again, and only it."""
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(CONTENT)
    share.raw("PUT", "/a", (403, {}, ""))
    staging = FileShareStaging("data").upload(tmp_path / "b", tmp_path / "a")

    with pytest.raises(StagingError, match=r"upload .*a as a"):
        upload(connection, staging, str)
    *_, last = (r for r in share.requests if r.method == "PUT")
    assert list(json.loads(last.body)["files"]) == ["b"]


def test_a_file_that_changes_while_it_is_sent_is_named(share, connection, tmp_path):
    """What arrived would be neither the old nor the new."""
    big = tmp_path / "big"
    big.write_bytes(os.urandom((8 << 20) + 1))
    share.before = lambda path: big.write_bytes(b"new") if path.endswith("/0") else None

    with pytest.raises(StagingError, match=r"big changed while it was being uploaded"):
        upload(connection, FileShareStaging("data").upload(big), str)
    assert INDEX not in share.made("PUT")


def test_a_large_file_gets_its_hash_after_its_last_part(share, connection, tmp_path):
    """So that one that was sent half never has it; parts of zeros need not be sent."""
    content = bytes(4 << 20) + os.urandom((4 << 20) + 1)
    (tmp_path / "big").write_bytes(content)
    manifest = upload(connection, FileShareStaging("data").upload(tmp_path / "big"), str)
    draft = [r for r in share.requests if urlsplit(r.url).path.endswith("/0")]

    assert sorted(r.headers.get("x-ms-range", "") for r in draft) == [
        "",
        "",
        "bytes=4194304-8388607",
        "bytes=8388608-8388608",
    ]
    assert draft[-1].headers["x-ms-meta-batchai_sha256"] == manifest["big"].sha256
    assert hashlib.sha256(content).hexdigest() == manifest["big"].sha256


def test_a_share_that_exists_is_told_from_a_new_one(endpoint, connection):
    """What was there before is not the session's to delete."""
    exists = "<Error><Code>ShareAlreadyExists</Code><Message>It exists</Message></Error>"
    endpoint.raw(
        "PUT",
        "/data",
        (201, {}, ""),
        (409, {"x-ms-error-code": "ShareAlreadyExists"}, exists),
    )

    assert [create_share(connection, "data") for _ in range(2)] == [True, False]


def test_a_refused_signature_says_what_to_check(endpoint, connection):
    """A wrong key is the usual reason."""
    endpoint.raw("PUT", "/data", (403, {"x-ms-error-code": "AuthenticationFailed"}, ""))

    with pytest.raises(StagingError, match=r"create file share data.*check the storage account"):
        create_share(connection, "data")


def test_a_file_that_went_away_is_named(share, connection, tmp_path):
    """It was there when the staging was described."""
    gone = tmp_path / "train.py"
    gone.write_text("print()")
    staging = FileShareStaging("data").upload(gone)
    gone.unlink()

    with pytest.raises(StagingError, match=r"Cannot upload .*train\.py: No such file"):
        upload(connection, staging, lambda _: None)


def test_a_small_file_goes_in_one_request_where_the_service_takes_it(share, connection, script):
    """It says so with the MD5 of what it took."""
    md5 = base64.b64encode(hashlib.md5(CONTENT, usedforsecurity=False).digest()).decode()
    taken = (201, {"ETag": '"0x1"', "Content-MD5": md5}, "")
    share.raw("PUT", "/data/(train.py|.*/0)", taken)
    (script.parent / "first").write_bytes(CONTENT)
    staging = FileShareStaging("data", max_connections=1).upload(script.parent / "first", script)
    upload(connection, staging, str)

    # Before it is known whether the service does, the file might be there empty.
    assert made(share) == ["drafts", "0", "first", "train.py", INDEX, INDEX]
    (request,) = [one for one in share.requests if one.url.partition("?")[0].endswith("train.py")]
    assert request.body == CONTENT
    assert request.headers["Content-MD5"] == md5


def test_a_service_that_refuses_content_is_not_asked_again(share, connection, tmp_path):
    """Each file goes in two requests, the first one after a refusal."""
    files = []
    for name in ("a", "b", "c"):
        files.append(tmp_path / name)
        files[-1].write_bytes(CONTENT)
    refused = (400, {"x-ms-error-code": "InvalidHeaderValue"}, "")
    share.raw("PUT", "/0", refused, WRITTEN, WRITTEN)
    staging = FileShareStaging("data", max_connections=1).upload(*files)
    manifest = upload(connection, staging, str)

    assert [share.made("PUT").count(name) for name in ("0", "1", "2")] == [3, 2, 2]
    assert len(manifest.sent) == 3


def test_another_refusal_of_content_is_an_error(share, connection, script):
    """It would be one in two requests as well."""
    share.raw("PUT", "/0", (403, {"x-ms-error-code": "AuthenticationFailed"}, ""))
    with pytest.raises(StagingError, match="train.py"):
        upload(connection, FileShareStaging("data").upload(script), str)
    assert share.made("PUT").count("0") == 1

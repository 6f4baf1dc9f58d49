"""Files that appear whole on their share, on the level of HTTP."""

import hashlib
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
import requests

from batchai_recipes import FileShareStaging, StagingError
from batchai_recipes.staging.drafts import DIRECTORY
from batchai_recipes.staging.share_files import HASH_METADATA
from batchai_recipes.staging.upload import upload

WRITTEN = (201, {"ETag": '"0x1"', "Last-Modified": "now"}, "")
CONTENT = b"print()"
SIZE = "<Properties><Content-Length>7</Content-Length></Properties>"
NOON = "Tue, 24 Nov 2026 12:00:00 GMT"


def listing(directories=(), files=()):
    """Return the listing of a directory."""
    entries = [f"<Directory><Name>{name}</Name><Properties/></Directory>" for name in directories]
    entries += [f"<File><Name>{name}</Name>{SIZE}</File>" for name in files]
    text = f"<EnumerationResults><Entries>{''.join(entries)}</Entries><NextMarker/>"
    return (200, {"Content-Type": "application/xml"}, text + "</EnumerationResults>")


@pytest.fixture
def share(endpoint):
    """A share that is empty and takes everything."""
    endpoint.raw("GET", "/data", listing())
    endpoint.raw("PUT", ".*", WRITTEN)
    endpoint.raw("DELETE", ".*", (202, {}, ""))
    return endpoint


@pytest.fixture
def staging(tmp_path):
    """A script to stage."""
    (tmp_path / "train.py").write_bytes(CONTENT)
    return FileShareStaging("data").upload(tmp_path / "train.py")


def deleted(share):
    """Return what was deleted, as paths on the share."""
    calls = (call.partition("/data/") for call in share.calls if call.startswith("DELETE"))
    return [path for _, _, path in calls]


def test_a_draft_gets_its_name_when_it_is_whole(share, connection, staging):
    """In place of the file that has it; its directory goes."""
    share.raw("PUT", "/train.py", (200, {"ETag": '"0x2"'}, ""))
    manifest = upload(connection, staging, str, owner="me")
    (rename,) = [r for r in share.requests if urlsplit(r.url).path.endswith("/train.py")]

    assert parse_qs(urlsplit(rename.url).query)["comp"] == ["rename"]
    source = urlsplit(unquote(rename.headers["x-ms-file-rename-source"])).path
    assert source.endswith(f"/data/{DIRECTORY}me/0")
    assert rename.headers["x-ms-file-rename-replace-if-exists"] == "true"
    assert manifest["train.py"].etag == "0x2"
    assert deleted(share) == [f"{DIRECTORY}me"]


@pytest.mark.parametrize("status", [400, 501])
def test_where_files_are_not_renamed_they_are_written_in_their_place(
    share, connection, tmp_path, staging, status
):
    """As all services did before 2021; no second file is tried."""
    (tmp_path / "two").write_bytes(CONTENT)
    share.raw("PUT", "/train.py", (status, {"x-ms-error-code": "Unknown"}, ""), WRITTEN)
    both = FileShareStaging("data", max_connections=1).upload(
        tmp_path / "train.py", tmp_path / "two"
    )
    manifest = upload(connection, both, str, owner="me")

    assert share.made("PUT")[:7] == [f"{DIRECTORY}me", "0", "0", *["train.py"] * 3, "two"]
    assert manifest.sent == ("train.py", "two")
    assert deleted(share) == [f"{DIRECTORY}me/0", f"{DIRECTORY}me"]


def test_a_large_file_is_read_again_where_it_cannot_be_renamed(share, connection, tmp_path):
    """From its beginning."""
    content = bytes(range(256)) * (20 << 10)
    (tmp_path / "big").write_bytes(content)
    refused = (400, {"x-ms-error-code": "InvalidQueryParameterValue"}, "")
    share.raw("PUT", "/big", refused, WRITTEN)
    manifest = upload(connection, FileShareStaging("data").upload(tmp_path / "big"), str)

    assert manifest["big"].sha256 == hashlib.sha256(content).hexdigest()
    parts = [r for r in share.requests if urlsplit(r.url).path.endswith("/big")]
    assert sum(len(r.body or b"") for r in parts) == len(content)


def test_a_rename_whose_answer_is_lost_has_been_done(share, connection, staging, monkeypatch):
    """The service does not find the draft any more, but the file that it has become."""
    monkeypatch.setattr("time.sleep", lambda _: None)
    missing = (404, {"x-ms-error-code": "ResourceNotFound"}, "")
    share.raw("PUT", "/train.py", requests.ConnectionError("reset by peer"), missing)
    sha256 = hashlib.sha256(CONTENT).hexdigest()
    there = {"ETag": '"0x3"', "Content-Length": "7", f"x-ms-meta-{HASH_METADATA}": sha256}
    share.raw("HEAD", "/train.py", (200, there, ""))

    assert upload(connection, staging, str)["train.py"].etag == "0x3"


def test_a_draft_that_somebody_deleted_is_an_error(share, connection, staging):
    """The file of the name is another one."""
    share.raw("PUT", "/train.py", (404, {"x-ms-error-code": "ResourceNotFound"}, ""))
    share.raw("HEAD", "/train.py", (200, {"ETag": '"0x3"', "Content-Length": "7"}, ""))

    with pytest.raises(StagingError, match=r"upload .*train\.py"):
        upload(connection, staging, str)


def test_a_staging_that_fails_deletes_its_drafts(share, connection, staging):
    """And its error is the one that is told."""
    share.raw("PUT", "/train.py", (403, {"x-ms-error-code": "AuthenticationFailed"}, ""))
    share.raw("DELETE", "/0", (503, {"x-ms-error-code": "ServerBusy"}, ""), (202, {}, ""))

    with pytest.raises(StagingError, match=r"upload .*train\.py"):
        upload(connection, staging, str, owner="me")
    assert f"{DIRECTORY}me/0" in deleted(share)


@pytest.mark.parametrize(
    ("gone", "written", "goes"),
    [
        (True, NOON, True),
        (False, "Tue, 24 Nov 2026 00:00:00 GMT", False),
        (None, "Tue, 24 Nov 2026 11:44:59 GMT", True),
        (None, "Tue, 24 Nov 2026 11:45:01 GMT", False),
    ],
)
def test_the_next_staging_deletes_what_a_killed_one_left(
    share, connection, staging, gone, written, goes
):
    """Known to be gone, or not heard of for long; never what is being written."""
    share.raw("GET", "/data", listing([f"{DIRECTORY}other", "mine"]))
    share.raw("GET", f"/data/{DIRECTORY}other", listing(files=["0"]))
    headers = {"ETag": '"0x1"', "Content-Length": "7", "Last-Modified": written, "Date": NOON}
    share.raw("HEAD", "/0", (200, headers, ""))
    upload(connection, staging, str, owner="me", is_gone=lambda owner: gone)

    left = [f"{DIRECTORY}other/0", f"{DIRECTORY}other"]
    assert [path for path in deleted(share) if "other" in path] == (left if goes else [])


def test_a_directory_of_drafts_that_was_just_made_stays(share, connection, staging):
    """Whose it is puts its first draft there now, for all that can be told."""
    share.raw("GET", "/data", listing([f"{DIRECTORY}other"]))
    share.raw("GET", f"/data/{DIRECTORY}other", listing())
    upload(connection, staging, str, owner="me")

    assert deleted(share) == [f"{DIRECTORY}me"]

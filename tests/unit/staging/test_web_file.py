"""Files of the web that go to a share."""

import hashlib

import pytest
import requests

from batchai_recipes import ConfigurationError, FileShareStaging, StagingError
from batchai_recipes.staging.upload import INDEX, upload

URL = "https://user:hidden@web.test/a/train%20set.csv?sig=hidden"
CONTENT = b"1,2,3"
SHA256 = hashlib.sha256(CONTENT).hexdigest()
EMPTY = "<EnumerationResults><Entries/><NextMarker/></EnumerationResults>"


@pytest.fixture
def web(endpoint):
    """A share that is empty, and a file of the web."""
    endpoint.raw("GET", "/data", (200, {}, EMPTY))
    endpoint.raw("GET", "/train%20set.csv", (200, {}, CONTENT))
    endpoint.raw("PUT", ".*", (201, {"ETag": '"0x1"', "Last-Modified": "now"}, ""))
    return endpoint


@pytest.mark.parametrize("sha256", [None, SHA256, SHA256.upper()])
def test_it_goes_to_the_directory_named_last(web, connection, sha256):
    """Under the name that its address ends with."""
    staging = FileShareStaging("data").directory("d").from_url(URL, sha256=sha256)
    manifest = upload(connection, staging, str)

    assert (manifest["d/train set.csv"].sha256, manifest.sent) == (SHA256, ("d/train set.csv",))
    assert CONTENT in [request.body for request in web.requests]


def test_one_whose_hash_the_share_has_is_not_fetched(web, connection):
    """Listing and index tell."""
    staging = FileShareStaging("data").from_url(URL, name="t", sha256=SHA256)
    upload(connection, staging, str)
    *_, text = (r.body for r in web.requests if r.method == "PUT")
    place = f"bytes 0-{len(text) - 1}/{len(text)}"
    web.raw("GET", f"/{INDEX}", (206, {"Content-Range": place}, text))
    files = "".join(
        f"<File><Name>{name}</Name><Properties><Content-Length>5</Content-Length>"
        "<Etag>0x1</Etag></Properties></File>"
        for name in ("t", INDEX)
    )
    web.raw("GET", "/data", (200, {}, EMPTY.replace("<Entries/>", f"<Entries>{files}</Entries>")))
    web.calls.clear()

    assert upload(connection, staging, str).sent == ()
    assert web.made("GET") == ["data", INDEX]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ((404, {}, ""), "answers 404"),
        ((200, {}, b"other"), f"its SHA-256 is .*, not {SHA256}"),
        (requests.ConnectionError(f"no route to {URL}"), "ConnectionError"),
    ],
)
def test_what_goes_wrong_is_told_without_secrets(web, connection, answer, message):
    """The address may carry a signature or a password."""
    web.raw("GET", "/train%20set.csv", answer)
    staging = FileShareStaging("data").from_url(URL, sha256=SHA256)

    with pytest.raises(StagingError, match=f"Cannot stage https://web.test/a/.*{message}") as error:
        upload(connection, staging, str)
    assert "hidden" not in f"{error.value}{staging!r}"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda s: s.from_url("ftp://web.test/a"), "use http or https"),
        (lambda s: s.from_url("a.csv"), "use http or https"),
        (lambda s: s.from_url("https://[web.test/a"), "brackets"),
        (lambda s: s.from_url("https://web.test/"), "relative path"),
        (lambda s: s.from_url("https://web.test/a", name="b/c"), "file's name"),
        (lambda s: s.from_url("https://web.test/a%2Fb"), "file's name"),
        (lambda s: s.from_url("https://web.test/a", sha256="12"), "64 hexadecimal"),
        (lambda s: s.from_url("https://web.test/a").from_url("https://web.test/A"), "both be A"),
    ],
)
def test_a_mistake_is_reported_at_the_call(make, message):
    """Before anything is sent."""
    with pytest.raises(ConfigurationError, match=message):
        make(FileShareStaging("data"))


@pytest.mark.parametrize("length", ["some", "5, 5", "-1", "\u00b2"])
def test_a_length_that_is_none_is_no_matter(web, connection, length):
    """What came is what counts."""
    web.raw("GET", "/train%20set.csv", (200, {"Content-Length": length}, CONTENT))
    manifest = upload(connection, FileShareStaging("data").from_url(URL), str)

    assert manifest["train set.csv"].sha256 == SHA256

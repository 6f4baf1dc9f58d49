"""A URL in a header never leads anywhere but to files of this service that the sender may use."""

import socket
from datetime import timedelta

import pytest

from batchai_recipes.service.files.accounts import Accounts
from batchai_recipes.service.files.sas import file_url

from .conftest import KEY1, KEY2

CREATE = {"x-ms-type": "file", "x-ms-content-length": "3"}


@pytest.fixture
def source(server, share):
    """The URL of a file that exists, without a signature."""
    (server.folder(share) / "source").write_bytes(b"abc")
    return f"{server.base}/batchtest/data/source"


def signed_url(server, path, permissions="r", **valid):
    """Return a URL with a SAS."""
    expires = server.clock.now() + timedelta(**valid or {"hours": 1})
    return file_url(
        server.base, server.account, "data", path, expires_at=expires, permissions=permissions
    )


def test_nothing_is_fetched(server, source):
    """A listener beside the service hears nothing."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        other.settimeout(0.2)
        port = other.getsockname()[1]
        for url in (
            f"http://127.0.0.1:{port}/batchtest/data/source",
            f"http://127.0.0.1:{server.port}@127.0.0.1:{port}/batchtest/data/source",
            f"http://localhost:{server.port}/batchtest/data/source",
            "http://169.254.169.254/latest/meta-data",
            "file:///etc/passwd",
            "http://[::1/x",
            f"http://127.0.0.1:{server.port}",
            f"ftp://127.0.0.1:{server.port}/batchtest/data/source",
        ):
            reply = server.signed("PUT", "/data/f", {"x-ms-copy-source": url})
            assert (reply.status, reply.code) == (400, "InvalidHeaderValue"), url
        with pytest.raises(TimeoutError):
            other.accept()


def test_paths_out_of_the_share(server, source, tmp_path):
    """Dots and links lead nowhere."""
    (tmp_path / "secret").write_text("secret")
    (server.folder("data") / "link").symlink_to(tmp_path / "secret")
    for path in ("../../../secret", "%2e%2e/%2e%2e/secret", "link", "link/x"):
        url = f"{server.base}/batchtest/data/{path}"
        for headers in ({"x-ms-copy-source": url}, {"x-ms-file-rename-source": url}):
            comp = "?comp=rename" if "x-ms-file-rename-source" in headers else ""
            reply = server.signed("PUT", f"/data/f{comp}", headers)
            assert 400 <= reply.status < 500, path
    assert not (server.folder("data") / "f").exists()
    assert (server.folder("data") / "link").is_symlink()


def test_a_copy_over_a_link_replaces_nothing_outside(server, source, tmp_path):
    """A link that a job planted at the destination is refused."""
    (tmp_path / "outside").write_text("untouched")
    (server.folder("data") / "f").symlink_to(tmp_path / "outside")

    reply = server.signed("PUT", "/data/f", {"x-ms-copy-source": source})

    assert (reply.status, reply.code) == (409, "ResourceTypeMismatch")
    assert (tmp_path / "outside").read_text() == "untouched"


def test_a_sender_with_a_sas_shows_one_for_the_source(server, source):
    """A SAS for the target says nothing about the source."""
    target = signed_url(server, "target", "cw").removeprefix(server.base)
    for url, code in (
        (source, "CannotVerifyCopySource"),
        (signed_url(server, "source", "w"), "AuthorizationPermissionMismatch"),
        (signed_url(server, "source", hours=-1), "AuthenticationFailed"),
        (signed_url(server, "other").replace("other", "source"), "AuthenticationFailed"),
    ):
        reply = server.send("PUT", target, {"x-ms-copy-source": url})
        assert (reply.status, reply.code) == (403, code)

    good = {"x-ms-copy-source": signed_url(server, "source")}
    assert server.send("PUT", target, good).status == 202
    assert (server.folder("data") / "target").read_bytes() == b"abc"


def test_a_signature_is_not_kept_with_the_copy(server, source):
    """The copy tells its source without the query."""
    server.signed("PUT", "/data/f", {"x-ms-copy-source": signed_url(server, "source")})

    assert source == server.signed("HEAD", "/data/f").headers["x-ms-copy-source"]


def test_the_key_of_one_account_opens_no_other(server, source):
    """Files of another account take a SAS."""
    Accounts(server.store).create("stranger", KEY2, KEY1)
    url = f"{server.base}/stranger/data/source"

    reply = server.signed("PUT", "/data/f", {"x-ms-copy-source": url})

    assert (reply.status, reply.code) == (403, "CannotVerifyCopySource")


def test_a_sas_that_may_only_create_replaces_nothing(server, source):
    """The copy onto a file that is there takes w."""
    (server.folder("data") / "target").write_bytes(b"old")
    target = signed_url(server, "target", "c").removeprefix(server.base)

    reply = server.send("PUT", target, {"x-ms-copy-source": signed_url(server, "source")})

    assert (reply.status, reply.code) == (403, "AuthorizationPermissionMismatch")
    assert (server.folder("data") / "target").read_bytes() == b"old"

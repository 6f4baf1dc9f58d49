"""Addresses in both styles."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchai_recipes.service.files.addressing import Address, resolve, share_name, share_of_url
from batchai_recipes.service.files.errors import ErrorCode, FileServiceError


@pytest.mark.parametrize(
    ("host", "raw_path", "expected"),
    [
        ("127.0.0.1:1", b"/demo", Address("demo", "", "", "path")),
        ("127.0.0.1:1", b"/demo/", Address("demo", "", "", "path")),
        ("127.0.0.1:1", b"/demo/data", Address("demo", "data", "", "path")),
        ("[::1]:1", b"/demo/data/a/b", Address("demo", "data", "a/b", "path")),
        ("localhost", b"/demo/data/a%2Fb%252F", Address("demo", "data", "a/b%2F", "path")),
        ("batchai.test", b"/demo/data/", Address("demo", "data", "", "path")),
        ("demo.file.core.windows.net", b"/", Address("demo", "", "", "host")),
        ("DEMO.file.localhost:80", b"/data/a", Address("demo", "data", "a", "host")),
        ("demo.blob.core.windows.net", b"/x/y", Address("x", "y", "", "path")),
    ],
)
def test_addresses_resolve(host, raw_path, expected):
    """Account, share and path are found in host and path, decoded once."""
    assert expected == resolve(host, raw_path)


@pytest.mark.parametrize("raw_path", [b"/", b"", b"//data", b"/demo//file", b"/demo/data/%FF"])
def test_addresses_without_account_or_utf8_are_refused(raw_path):
    """A path that names nothing is told so."""
    with pytest.raises(FileServiceError) as caught:
        resolve("127.0.0.1", raw_path)

    assert ErrorCode.INVALID_URI is caught.value.code


@given(st.binary())
def test_any_raw_path_resolves_or_is_refused(raw_path):
    """No sequence of bytes makes it fail otherwise."""
    with contextlib.suppress(FileServiceError):
        address = resolve("127.0.0.1", raw_path)
        assert address.account
        assert "/" not in address.account + address.share


@pytest.mark.parametrize("name", ["abc", "a-b", "0" * 63, "a1-b2-c3"])
def test_share_names(name):
    """Names that Azure allows."""
    assert name == share_name(name)


@pytest.mark.parametrize("name", ["", "ab", "0" * 64, "Abc", "a--b", "-ab", "ab-", "a_b", "a.b"])
def test_bad_share_names(name):
    """Names that Azure refuses, `..` and the like among them."""
    with pytest.raises(FileServiceError) as caught:
        share_name(name)

    assert ErrorCode.INVALID_RESOURCE_NAME is caught.value.code


@pytest.mark.parametrize(
    "url",
    [
        "https://demo.file.core.windows.net/data",
        "HTTPS://demo.file.core.windows.net/data/",
        "http://127.0.0.1:8080/demo/data",
        "http://[::1]:8080/demo/data",
    ],
)
def test_share_urls(url):
    """Both styles name the account and the share."""
    assert share_of_url(url) == ("demo", "data")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "demo/data",
        "ftp://127.0.0.1/demo/data",
        "http:///demo/data",
        "http://[::1/demo/data",
        "http://127.0.0.1/demo",
        "http://127.0.0.1/demo/Data",
        "https://demo.file.core.windows.net/data/below",
        "http://127.0.0.1:port/demo/data",
        "http://127.0.0.1:99999/demo/data",
    ],
)
def test_other_urls_are_refused_with_the_expected_form(url):
    """The message shows what a share's URL looks like."""
    with pytest.raises(ValueError, match="ACCOUNT.file.core.windows.net/SHARE"):
        share_of_url(url)

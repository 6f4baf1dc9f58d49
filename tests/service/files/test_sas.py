"""Shared access signatures: what they sign, and the URLs that the service makes."""

from datetime import datetime, timedelta, timezone
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
import requests
from azure.storage.common.sharedaccesssignature import SharedAccessSignature
from azure.storage.file.sharedaccesssignature import FileSharedAccessSignature
from hypothesis import given
from hypothesis import strategies as st

from batchai_recipes.service.files.accounts import Account
from batchai_recipes.service.files.sas import (
    account_string_to_sign,
    file_url,
    parse_time,
    service_string_to_sign,
)
from batchai_recipes.service.files.signing import is_signed, sign

ACCOUNT = Account("demo", "Zmlyc3Q=", "c2Vjb25k")
EXPIRY = datetime(2030, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
names = st.text("abc %+#&é日", min_size=1).map(str.strip).filter(bool)


@given(names, names, st.text("rcwd", min_size=1))
def test_azures_client_signs_the_same_text_for_a_file(directory, file, permission):
    """The signature over our string is the one that the client makes."""
    token = FileSharedAccessSignature("demo", ACCOUNT.key1).generate_file(
        "data", directory, file, permission, EXPIRY, ip="127.0.0.1", content_type="text/plain"
    )
    fields = {name: values[0] for name, values in parse_qs(token).items()}

    text = service_string_to_sign(fields, f"/file/demo/data/{directory}/{file}")

    assert fields["sig"] == sign(ACCOUNT.key1, text)


def test_azures_client_signs_the_same_text_for_an_account():
    """The signature over our string is the one that the client makes."""
    token = SharedAccessSignature("demo", ACCOUNT.key1, "2019-02-02").generate_account(
        "f", "sco", "rl", EXPIRY, protocol="https,http"
    )
    fields = {name: values[0] for name, values in parse_qs(token).items()}

    assert fields["sig"] == sign(ACCOUNT.key1, account_string_to_sign(fields, "demo"))


def test_newer_account_signatures_have_a_line_for_the_encryption_scope():
    """From 2020-12-06 on the text ends in one more, empty, line."""
    fields = {"sp": "r", "ss": "f", "srt": "o", "se": "2030-01-01"}

    assert (
        account_string_to_sign({**fields, "sv": "2020-10-02"}, "demo")
        == "demo\nr\nf\no\n\n2030-01-01\n\n\n2020-10-02\n"
    )
    assert (
        account_string_to_sign({**fields, "sv": "2020-12-06"}, "demo")
        == "demo\nr\nf\no\n\n2030-01-01\n\n\n2020-12-06\n\n"
    )


def test_either_key_signs_and_nothing_else():
    """Both keys of an account count, other keys and texts that are no signature do not."""
    assert is_signed(ACCOUNT.keys, ["x", "text"], sign(ACCOUNT.key1, "text"))
    assert is_signed(ACCOUNT.keys, ["text"], sign(ACCOUNT.key2, "text"))
    assert not is_signed(ACCOUNT.keys, ["text"], sign("b3RoZXI=", "text"))
    assert not is_signed(ACCOUNT.keys, ["text"], "no base64 é")
    assert not is_signed(ACCOUNT.keys, ["text"], "")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2030-01-02", datetime(2030, 1, 2, tzinfo=timezone.utc)),
        ("2030-01-02T03:04Z", datetime(2030, 1, 2, 3, 4, tzinfo=timezone.utc)),
        ("2030-01-02T03:04:05Z", EXPIRY),
        ("2030-01-02T03:04:05.1234567Z", EXPIRY),
        ("2030-01-02 03:04:05", None),
        ("2030-13-02", None),
        ("", None),
        ("tomorrow", None),
    ],
)
def test_times(text, expected):
    """The forms that Azure documents are read, others are not."""
    assert expected == parse_time(text)


def test_a_file_url_works_in_any_http_client_until_it_expires(server, client, share):
    """Whoever has the URL reads the file, in ranges too, and only that file."""
    client.create_file_from_text(share, None, "log é 1.txt", "0123456789")
    client.create_file_from_text(share, None, "other.txt", "secret")
    expires_at = server.clock.now() + timedelta(minutes=5)

    url = file_url(server.base, server.account, share, "log é 1.txt", expires_at=expires_at)

    assert requests.get(url, timeout=30).text == "0123456789"
    tail = requests.get(url, headers={"Range": "bytes=7-"}, timeout=30)
    assert (
        tail.status_code,
        tail.text,
        tail.headers["Content-Range"],
    ) == (206, "789", "bytes 7-9/10")
    other = url.replace("log%20%C3%A9%201.txt", "other.txt")
    assert requests.get(other, timeout=30).status_code == 403
    server.clock.advance(minutes=5, seconds=1)
    assert requests.get(url, timeout=30).status_code == 403


def test_a_file_url_is_for_an_aware_time():
    """A naive time could mean any hour."""
    with pytest.raises(ValueError, match="aware"):
        file_url("http://x", ACCOUNT, "data", "f", expires_at=EXPIRY.replace(tzinfo=None))


@given(names)
def test_a_file_url_round_trips_the_path(path):
    """The path of the URL decodes to the path given."""
    url = file_url("http://127.0.0.1:1/", ACCOUNT, "data", path, expires_at=EXPIRY)

    assert f"/demo/data/{path}" == unquote(urlsplit(url).path)

"""Stored access policies, and signatures that refer to them."""

from datetime import datetime, timedelta, timezone
from urllib.parse import urlencode

import pytest
from azure.common import AzureHttpError
from azure.storage.common import AccessPolicy
from azure.storage.file import FilePermissions

from batchai_recipes.service.files.sas import service_string_to_sign
from batchai_recipes.service.files.signing import sign

EXPIRY = datetime(2100, 1, 1, tzinfo=timezone.utc)


def get(server, share, **fields):
    """Read a file with a SAS of these fields, and return status and code."""
    fields = {"sv": "2019-02-02", "sr": "f", **fields}
    text = service_string_to_sign(fields, f"/file/batchtest/{share}/f")
    query = urlencode({**fields, "sig": sign(server.account.key1, text)})
    reply = server.send("GET", f"/batchtest/{share}/f?{query}", {})
    return reply.status, reply.code


@pytest.fixture
def file(client, share):
    """A share with one file and the policy "readers"."""
    client.create_file_from_text(share, None, "f", "text")
    client.set_share_acl(share, {"readers": AccessPolicy(FilePermissions.READ, EXPIRY)})
    return share


def test_policies_are_set_and_read(client, share):
    """Up to five, with what each has; setting none clears them."""
    assert client.get_share_acl(share) == {}
    before = client.get_share_properties(share).properties.etag

    client.set_share_acl(
        share,
        {
            "a": AccessPolicy(FilePermissions.READ, EXPIRY, EXPIRY - timedelta(days=1)),
            "b <&>": AccessPolicy(permission="rl"),
        },
    )

    found = client.get_share_acl(share)
    assert set(found) == {"a", "b <&>"}
    assert (found["a"].permission, found["a"].expiry) == ("r", EXPIRY)
    assert found["a"].start == EXPIRY - timedelta(days=1)
    assert found["b <&>"].permission == "rl"
    assert before != client.get_share_properties(share).properties.etag
    client.set_share_acl(share, {})
    assert client.get_share_acl(share) == {}


@pytest.mark.parametrize(
    "document",
    [
        b"no xml",
        b"<a/>",
        b"\xff\xfe",
        b'<!DOCTYPE x [<!ENTITY a "b">]><SignedIdentifiers>&a;</SignedIdentifiers>',
        '<?xml version="1.0" encoding="utf-16"?><SignedIdentifiers/>'.encode("utf-16"),
        b"<SignedIdentifiers><SignedIdentifier/></SignedIdentifiers>",
        b"<SignedIdentifiers>" + b"<SignedIdentifier><Id>a</Id></SignedIdentifier>" * 2
        + b"</SignedIdentifiers>",
        b"<SignedIdentifiers>"
        + b"".join(b"<SignedIdentifier><Id>%d</Id></SignedIdentifier>" % n for n in range(6))
        + b"</SignedIdentifiers>",
        (b"<SignedIdentifiers><SignedIdentifier><Id>a</Id><AccessPolicy><Expiry>soon</Expiry>"
        b"</AccessPolicy></SignedIdentifier></SignedIdentifiers>"),
    ],
)  # fmt: skip
def test_what_is_no_document_of_policies(server, file, client, document):
    """It is refused, and the old ones stay."""
    reply = server.signed("PUT", f"/{file}?restype=share&comp=acl", {}, document)

    assert (reply.status, reply.code) == (400, "InvalidXmlDocument")
    assert set(client.get_share_acl(file)) == {"readers"}


def test_a_signature_takes_its_permission_from_the_policy(server, file):
    """As long as the policy is there."""
    assert get(server, file, si="readers") == (200, "")
    assert get(server, file, si="writers") == (403, "AuthenticationFailed")


def test_a_policy_that_is_taken_away_revokes_signatures(server, file, client):
    """At once."""
    client.set_share_acl(file, {})
    assert get(server, file, si="readers") == (403, "AuthenticationFailed")


def test_a_policy_that_has_expired(server, file, client):
    """The policy's times count as the signature's own would; so do its permissions."""
    past = datetime(2020, 1, 1, tzinfo=timezone.utc)
    client.set_share_acl(
        file,
        {
            "past": AccessPolicy(FilePermissions.READ, past),
            "later": AccessPolicy(FilePermissions.READ, EXPIRY, EXPIRY - timedelta(1)),
            "writers": AccessPolicy(FilePermissions.WRITE, EXPIRY),
            "endless": AccessPolicy(FilePermissions.READ),
        },
    )

    assert get(server, file, si="past") == (403, "AuthenticationFailed")
    assert get(server, file, si="later") == (403, "AuthenticationFailed")
    assert get(server, file, si="writers") == (403, "AuthorizationPermissionMismatch")
    assert get(server, file, si="endless") == (403, "AuthenticationFailed")
    assert get(server, file, si="endless", se="2100-01-01") == (200, "")


def test_a_field_in_both_is_refused(server, file):
    """Which one should count would be a guess."""
    assert get(server, file, si="readers", se="2100-01-01") == (403, "AuthenticationFailed")
    assert get(server, file, si="readers", sp="r") == (403, "AuthenticationFailed")


def test_no_sas_reads_or_sets_policies(client, server, file):
    """That takes a key, also with every letter of an account SAS."""
    token = client.generate_account_shared_access_signature("sco", "rwdlcup", EXPIRY)
    for verb in ("GET", "PUT"):
        target = f"/batchtest/{file}?restype=share&comp=acl&{token}"
        reply = server.send(verb, target, {"x-ms-version": "2019-02-02"})
        assert (reply.status, reply.code) == (403, "AuthorizationPermissionMismatch")


def test_there_are_no_handles(client, file):
    """Listing and closing say so, of files and directories that exist."""
    client.create_directory(file, "d")

    assert list(client.list_handles(file, None, "f")) == []
    assert list(client.list_handles(file, "d", recursive=True)) == []
    assert list(client.list_handles(file)) == []
    assert sum(client.close_handles(file, "d", handle_id="*")) == 0
    with pytest.raises(AzureHttpError):
        list(client.list_handles(file, "nothing"))

"""Bearer tokens, and signatures by the keys that they are good for."""

import base64
from datetime import timedelta
from urllib.parse import parse_qsl, urlencode
from xml.etree import ElementTree as ET

import pytest
import requests
from azure.core.credentials import AccessToken
from azure.storage.fileshare import (
    ShareClient,
    ShareFileClient,
    ShareServiceClient,
    generate_file_sas,
    generate_share_sas,
)

from batchai_recipes.service.identity.principals import Principals
from batchai_recipes.service.identity.tokens import TokenError

from .conftest import PRINCIPAL

OTHER = "33333333-3333-3333-3333-333333333333"


class Credential:
    """Gives Azure's clients a token, as azure-identity does, and notes what they ask for."""

    def __init__(self, server):
        self.server = server
        self.scopes = []

    def get_token(self, *scopes, **_options):
        """Return a token for a scope."""
        self.scopes.extend(scopes)
        token = self.server.token(scopes[0].removesuffix("/.default"))
        return AccessToken(token, int(self.server.clock.now().timestamp()) + 3000)


@pytest.fixture
def credential(server):
    """A principal of the service."""
    return Credential(server)


@pytest.fixture
def service(server, credential):
    """Azure's newest client with a token."""
    with ShareServiceClient(
        f"{server.secure_base}/batchtest",
        credential=credential,
        token_intent="backup",
        connection_verify=str(server.ca_file),
    ) as client:
        yield client


def get(server, target="?comp=list", *, base=None, **headers):
    """Get something of the account with a token."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    given = {
        "authorization": f"Bearer {server.token()}",
        "x-ms-version": "2024-08-04",
        "x-ms-file-request-intent": "backup",
        **named,
    }
    reply = requests.get(
        f"{base or server.secure_base}/batchtest{target}",
        headers={name: value for name, value in given.items() if value is not None},
        verify=str(server.ca_file),
        timeout=30,
    )
    return reply.status_code, reply.headers.get("x-ms-error-code"), reply


def test_azures_client_works_with_a_token(service, credential, server):
    """All that it does with a key, on the same storage."""
    share = service.create_share("data")
    share.create_directory("d")
    share.get_file_client("d/f").upload_file(b"0123456789")
    share.get_file_client("d/g").start_copy_from_url(share.get_file_client("d/f").url)
    renamed = share.get_file_client("d/g").rename_file("d/h")

    assert renamed.download_file().readall() == b"0123456789"
    renamed.close()
    assert [item.name for item in share.list_directories_and_files("d")] == ["f", "h"]
    assert [item.name for item in service.list_shares()] == ["data"]
    assert (server.folder("data") / "d" / "f").read_bytes() == b"0123456789"
    assert credential.scopes[0] == "https://storage.azure.com/.default"
    service.delete_share("data")


def test_the_audience_may_be_the_account(server, credential):
    """As newer clients let one ask."""
    with ShareServiceClient(
        f"{server.secure_base}/batchtest",
        credential=credential,
        token_intent="backup",
        audience="https://batchtest.file.core.windows.net",
        connection_verify=str(server.ca_file),
    ) as client:
        assert list(client.list_shares()) == []
    assert credential.scopes[0] == "https://batchtest.file.core.windows.net/.default"


def test_who_has_no_token_is_told_where_to_get_one(server):
    """By https; by http there are none."""
    status, code, reply = get(server, authorization=None)

    assert (status, code) == (401, "NoAuthenticationInformation")
    assert reply.headers["www-authenticate"] == (
        "Bearer authorization_uri=https://127.0.0.1:1/11111111-1111-1111-1111-111111111111"
        "/oauth2/authorize resource_id=https://storage.azure.com"
    )


def test_a_token_is_not_taken_by_http(server):
    """Where anybody could have read it."""
    status, code, reply = get(server, base=server.base)

    assert (status, code) == (403, "AuthenticationFailed")
    assert "not supported by http" in reply.text


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"x_ms_file_request_intent": None}, 400, "MissingRequiredHeader"),
        ({"x_ms_file_request_intent": "restore"}, 400, "InvalidHeaderValue"),
        ({"x_ms_version": "2021-06-08"}, 400, "InvalidHeaderValue"),
        ({"authorization": "Bearer"}, 401, "InvalidAuthenticationInfo"),
        ({"authorization": "Bearer x.y.z"}, 401, "InvalidAuthenticationInfo"),
    ],
)
def test_a_token_is_sent_as_in_azure(server, headers, status, code):
    """With the intent, and by a version that knows tokens."""
    assert get(server, **headers)[:2] == (status, code)


def test_a_token_that_is_not_good(server):
    """Expired, for another API, for another account, or by somebody else."""
    good = server.token()
    body, _, _ = good.rpartition(".")
    refused = [
        server.token("https://management.azure.com"),
        server.token("https://other.file.core.windows.net"),
        f"{body}.{base64.urlsafe_b64encode(bytes(256)).decode().rstrip('=')}",
    ]
    for token in refused:
        status, code, reply = get(server, authorization=f"Bearer {token}")
        assert (status, code) == (401, "InvalidAuthenticationInfo")
        assert reply.headers["www-authenticate"].startswith("Bearer authorization_uri=")
        assert "<AuthenticationErrorDetail>" in reply.text
    assert get(server, authorization=f"Bearer {good}")[0] == 200
    server.clock.advance(hours=2)
    assert get(server, authorization=f"Bearer {good}")[0] == 401


def test_a_principal_that_was_removed(server, service, text_file):
    """Its tokens, its delegation keys and what was signed with them are good for nothing."""
    now = server.clock.now()
    key = service.get_user_delegation_key(start=now, expiry=now + timedelta(hours=1))
    sas, token = delegated(server, key), f"Bearer {server.token()}"
    assert (fetch(server, sas), get(server, authorization=token)[0]) == (200, 200)

    Principals(server.store).remove(PRINCIPAL)

    assert fetch(server, sas) == "AuthenticationFailed"
    assert get(server, authorization=token)[:2] == (401, "InvalidAuthenticationInfo")


def test_a_token_that_was_good_elsewhere(server):
    """What the management plane has taken is still none for files, and the other way round."""
    other = server.token("https://management.azure.com")
    server.tokens.verify(other)
    assert get(server, authorization=f"Bearer {other}")[0] == 401
    mine = server.token()
    assert get(server, authorization=f"Bearer {mine}")[0] == 200
    with pytest.raises(TokenError):
        server.tokens.verify(mine)


def test_a_token_of_one_account_opens_no_account_that_is_not_here(server):
    """The refusal is that of an unknown account."""
    reply = requests.get(
        f"{server.secure_base}/nobody?comp=list",
        headers={"authorization": f"Bearer {server.token()}", "x-ms-version": "2024-08-04"},
        verify=str(server.ca_file),
        timeout=30,
    )

    assert reply.headers["x-ms-error-code"] == "AuthenticationFailed"


def test_a_copy_source_may_have_a_token_of_its_own(server, client, share):
    """A sender with a SAS for the destination shows it for the source."""
    client.create_file_from_text(share, None, "a", "text")
    expiry = server.clock.now() + timedelta(hours=1)
    sas = generate_share_sas(
        "batchtest", share, server.account.key1, permission="rcw", expiry=expiry
    )

    def copy(**more):
        return requests.put(
            f"{server.secure_base}/batchtest/data/b?{sas}",
            headers={
                "x-ms-version": "2024-08-04",
                "x-ms-file-request-intent": "backup",
                "x-ms-copy-source": f"{server.secure_base}/batchtest/data/a",
                **more,
            },
            verify=str(server.ca_file),
            timeout=30,
        )

    assert copy().headers["x-ms-error-code"] == "CannotVerifyCopySource"
    bad = copy(**{"x-ms-copy-source-authorization": "Bearer nonsense"})
    assert bad.headers["x-ms-error-code"] == "InvalidAuthenticationInfo"
    good = copy(**{"x-ms-copy-source-authorization": f"Bearer {server.token()}"})
    assert good.status_code == 202
    key = copy(**{"x-ms-copy-source-authorization": "SharedKey batchtest:c2VjcmV0"})
    assert key.headers["x-ms-error-code"] == "InvalidHeaderValue"
    assert "must read 'Bearer TOKEN'" in key.text
    assert "c2VjcmV0" not in key.text


@pytest.fixture
def delegation_key(service, server):
    """A key for an hour."""
    now = server.clock.now()
    return service.get_user_delegation_key(start=now, expiry=now + timedelta(hours=1))


@pytest.fixture
def text_file(client, share):
    """A file with a text."""
    client.create_file_from_text(share, None, "f.txt", "0123456789")
    return "f.txt"


def delegated(server, key, **options):
    """Sign for the file with a user delegation key, as Azure's client does."""
    chosen = {"permission": "r", "expiry": server.clock.now() + timedelta(hours=2), **options}
    return generate_file_sas("batchtest", "data", ["f.txt"], user_delegation_key=key, **chosen)


def fetch(server, sas, **headers):
    """Get the file with a SAS; returns the status, or Azure's code of the refusal."""
    url = f"{server.secure_base}/batchtest/data/f.txt?{sas}"
    reply = requests.get(url, headers=headers, verify=str(server.ca_file), timeout=30)
    return reply.headers.get("x-ms-error-code", reply.status_code)


def test_a_user_delegation_key_signs_for_files_and_shares(server, delegation_key, text_file):
    """For its time, by http too."""
    assert delegation_key.signed_service == "f"
    sas = delegated(server, delegation_key)
    with ShareFileClient(f"{server.base}/batchtest", "data", "f.txt", credential=sas) as file:
        assert file.download_file().readall() == b"0123456789"
    share_sas = generate_share_sas(
        "batchtest",
        "data",
        user_delegation_key=delegation_key,
        permission="rl",
        expiry=server.clock.now() + timedelta(hours=2),
    )
    with ShareClient(f"{server.base}/batchtest", "data", credential=share_sas) as guest:
        assert [item.name for item in guest.list_directories_and_files()] == ["f.txt"]
    server.clock.advance(minutes=59)
    assert fetch(server, sas) == 200
    server.clock.advance(minutes=2)  # the key ends before the signature does
    assert fetch(server, sas) == "AuthenticationFailed"


def test_nothing_of_a_delegated_signature_can_be_changed(server, delegation_key, text_file):
    """Neither what it permits nor what it says of the key."""
    fields = dict(parse_qsl(delegated(server, delegation_key)))
    changes = {
        "sp": "rwd", "se": "2099-01-01", "ske": "2099-01-01T00:00:00Z", "skt": "2020-01-01",
        "skoid": OTHER, "sktid": OTHER, "sks": "b", "skv": "2020-01-01", "sduoid": OTHER,
        "skdutid": OTHER, "sv": "2021-01-01", "si": "policy", "rscc": "no-store", "spr": "http",
    }  # fmt: skip

    assert fetch(server, urlencode(fields)) == 200
    for name, value in changes.items():
        assert fetch(server, urlencode({**fields, name: value})) == "AuthenticationFailed", name
    del fields["skoid"]
    assert fetch(server, urlencode(fields)) == "AuthenticationFailed"


def test_a_signature_for_one_user_comes_with_that_users_token(server, delegation_key, text_file):
    """By https only."""
    mine = server.tokens.verify(server.token(), audiences=["https://storage.azure.com"]).object_id
    token = f"Bearer {server.token()}"
    sas = delegated(server, delegation_key, user_delegation_oid=mine)

    assert fetch(server, sas) == "AuthenticationFailed"
    assert fetch(server, sas, authorization=token) == 200
    assert fetch(server, sas, authorization="Bearer x") == "InvalidAuthenticationInfo"
    url = f"{server.base}/batchtest/data/f.txt?{sas}"
    by_http = requests.get(url, headers={"authorization": token}, timeout=30)
    assert by_http.headers["x-ms-error-code"] == "AuthenticationFailed"
    other = delegated(server, delegation_key, user_delegation_oid=OTHER)
    assert fetch(server, other, authorization=token) == "AuthenticationFailed"


def test_a_copy_source_with_a_signature_for_one_user(server, delegation_key, text_file):
    """That user's token goes with it; the version is that of the request, or of that signature."""
    mine = server.tokens.verify(server.token(), audiences=["https://storage.azure.com"]).object_id
    sas = delegated(server, delegation_key, user_delegation_oid=mine)
    target = generate_share_sas(
        "batchtest",
        "data",
        server.account.key1,
        permission="cw",
        expiry=server.clock.now() + timedelta(hours=1),
    )
    address = f"{server.secure_base}/batchtest/data"
    headers = {"x-ms-copy-source": f"{address}/f.txt?{sas}"}
    token = {"x-ms-copy-source-authorization": f"Bearer {server.token()}"}
    for more, status in (({}, 403), (token, 202)):
        reply = requests.put(
            f"{address}/copy?{target}",
            headers={**headers, **more},
            verify=str(server.ca_file),
            timeout=30,
        )
        assert reply.status_code == status, reply.text


def test_a_key_for_the_users_of_one_tenant(server, service, text_file):
    """The token must be of that tenant."""
    expiry = server.clock.now() + timedelta(hours=1)
    token = f"Bearer {server.token()}"
    for tenant, outcome in ((server.tokens.tenant_id, 200), (OTHER, "AuthenticationFailed")):
        key = service.get_user_delegation_key(
            start=server.clock.now(), expiry=expiry, delegated_user_tid=tenant
        )
        assert key.signed_delegated_user_tid == tenant
        assert fetch(server, delegated(server, key)) == "AuthenticationFailed"
        assert fetch(server, delegated(server, key), authorization=token) == outcome


def ask(server, document, **headers):
    """Ask for a key with a document."""
    given = {"authorization": f"Bearer {server.token()}", "x-ms-version": "2026-10-06", **headers}
    return requests.post(
        f"{server.secure_base}/batchtest?restype=service&comp=userdelegationkey",
        data=document,
        headers=given,
        verify=str(server.ca_file),
        timeout=30,
    )


@pytest.mark.parametrize(
    ("document", "code"),
    [
        ("", "InvalidXmlDocument"),
        ("<Key/>", "InvalidXmlDocument"),
        ("<!DOCTYPE a []><KeyInfo/>", "InvalidXmlDocument"),
        ("<KeyInfo/>", "InvalidXmlNodeValue"),
        ("<KeyInfo><Expiry>soon</Expiry></KeyInfo>", "InvalidXmlNodeValue"),
        ("<KeyInfo><Expiry>2020-01-01</Expiry></KeyInfo>", "InvalidXmlNodeValue"),
        ("<KeyInfo><Expiry>2099-01-01</Expiry></KeyInfo>", "InvalidXmlNodeValue"),
    ],
)
def test_a_key_that_cannot_be(server, document, code):
    """A week is the longest."""
    reply = ask(server, document)

    assert (reply.status_code, reply.headers["x-ms-error-code"]) == (400, code)


def test_a_key_is_the_same_for_the_same_question_and_account(server):
    """Nothing is kept of it; another account has another."""
    expiry = f"{server.clock.now() + timedelta(days=6):%Y-%m-%dT00:00:00Z}"
    start = f"{server.clock.now():%Y-%m-%dT00:00:00Z}"
    document = f"<KeyInfo><Start>{start}</Start><Expiry>{expiry}</Expiry></KeyInfo>"

    replies = [ask(server, document) for _ in range(2)]

    values = {ET.fromstring(reply.content).findtext("Value") for reply in replies}
    assert len(values) == 1
    assert replies[0].headers["cache-control"] == "no-store"


def test_no_account_key_makes_a_delegation_key(server):
    """That is for who has a token."""
    reply = server.signed("POST", "?restype=service&comp=userdelegationkey", {}, b"<KeyInfo/>")

    assert (reply.status, reply.code) == (403, "AuthenticationFailed")
    assert b"Only authentication scheme Bearer is supported" in reply.body

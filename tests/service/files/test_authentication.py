"""Who is let in."""

import base64
import hashlib
import hmac
from datetime import timedelta
from email.utils import format_datetime
from xml.etree import ElementTree as ET

import pytest
import requests
from azure.storage.common.models import AccountPermissions, ResourceTypes
from azure.storage.file import FilePermissions, FileService, SharePermissions

from batchai_recipes.service.files.call import Call

SHARE = "/data?restype=share"


def detail_of(reply):
    """Return what the service says of a failed authentication."""
    return ET.fromstring(reply.body).findtext("AuthenticationErrorDetail")


@pytest.fixture
def other_key():
    """A key of nobody."""
    return base64.b64encode(b"some other key").decode()


def test_unsigned_requests_are_refused(server, share):
    """No signature, no answer, whether or not the thing exists."""
    for target in ("/batchtest/data?restype=share", "/batchtest/nope?restype=share", "/batchtest"):
        reply = server.send("GET", target, {"x-ms-version": "2019-02-02"})
        assert (reply.status, reply.code) == (401, "NoAuthenticationInformation")
        assert reply.headers["www-authenticate"] == "SharedKey"


@pytest.mark.parametrize("header", ["SharedKey", "SharedKey batchtest", "Basic x"])
def test_other_schemes_are_refused(server, share, header):
    """An Authorization header that is no SharedKey is told what it must look like."""
    reply = server.send("GET", "/batchtest" + SHARE, {"authorization": header})

    assert (reply.status, reply.code) == (400, "InvalidAuthenticationInfo")


def test_both_keys_sign(server, share):
    """A request signed with either key is good."""
    assert server.signed("GET", SHARE).status == 200
    assert server.signed("GET", SHARE, key=server.account.key2).status == 200


def test_a_wrong_key_gets_the_string_that_the_server_signed(server, share, other_key):
    """The refusal holds the string to sign, so that the user can compare; it holds no key."""
    reply = server.signed("GET", SHARE, {"x-ms-meta-a": "b"}, key=other_key)

    assert (reply.status, reply.code) == (403, "AuthenticationFailed")
    assert "x-ms-meta-a:b\n" in detail_of(reply)
    assert "/batchtest/batchtest/data\nrestype:share" in detail_of(reply)
    for key in server.account.keys:
        assert key.encode() not in reply.body


def test_a_signature_is_for_one_request(server, share):
    """Another verb, path, query or header under the same signature is refused."""
    date = format_datetime(server.clock.now(), usegmt=True)
    text = (
        f"GET{chr(10) * 12}x-ms-date:{date}\nx-ms-version:2019-02-02\n"
        "/batchtest/batchtest/data\nrestype:share"
    )
    from_test = _signature(server, text)
    headers = {
        "x-ms-date": date,
        "x-ms-version": "2019-02-02",
        "authorization": f"SharedKey batchtest:{from_test}",
    }
    target = "/batchtest/data?restype=share"

    assert server.send("GET", target, headers).status == 200
    for verb, other, more in (
        ("DELETE", target, {}),
        ("GET", "/batchtest/Data?restype=share", {}),
        ("GET", "/batchtest/data?restype=directory", {}),
        ("GET", "/batchtest/dat%61?restype=share", {}),
        ("GET", target, {"x-ms-meta-x": "y"}),
        ("GET", target, {"range": "bytes=0-1"}),
    ):
        assert server.send(verb, other, {**headers, **more}).code == "AuthenticationFailed"
    assert server.send("GET", target, headers).status == 200


def _signature(server, text):
    key = base64.b64decode(server.account.key1)
    return base64.b64encode(hmac.new(key, text.encode(), hashlib.sha256).digest()).decode()


def test_an_account_that_is_not_here(server):
    """An unknown account cannot have signed anything."""
    reply = server.send(
        "GET", "/nobody?comp=list", {"authorization": "SharedKey nobody:AAAA", "x-ms-date": "x"}
    )

    assert (reply.status, reply.code) == (403, "AuthenticationFailed")
    assert detail_of(reply) == "There is no storage account 'nobody' here."


def test_a_signature_of_another_account_is_refused(server):
    """The account that signs is the one that is addressed."""
    reply = server.send("GET", "/batchtest?comp=list", {"authorization": "SharedKey other:AAAA"})

    assert reply.code == "AuthenticationFailed"


@pytest.mark.parametrize(("minutes", "status"), [(14, 200), (-14, 200), (16, 403), (-16, 403)])
def test_dates_are_good_for_fifteen_minutes(server, share, minutes, status):
    """A recorded request cannot be played again later."""
    date = format_datetime(server.clock.now() + timedelta(minutes=minutes), usegmt=True)

    assert status == server.signed("GET", SHARE, {"x-ms-date": date}).status


@pytest.mark.parametrize("date", ["", "yesterday", "Mon, 99 Foo 2024 00:00:00 GMT"])
def test_a_request_needs_a_date(server, share, date):
    """A date that is none is refused, in words that say how it must be."""
    reply = server.signed("GET", SHARE, {"x-ms-date": date})

    assert (reply.status, reply.code) == (403, "AuthenticationFailed")
    assert b"within 15 minutes" in reply.body


@pytest.mark.parametrize("version", ["2015-02-21", "2019-02-02", "2026-10-06", "2099-12-31"])
def test_any_later_version_is_spoken(server, share, version):
    """Versions of the future are accepted and echoed."""
    reply = server.signed("GET", SHARE, {"x-ms-version": version})

    assert (200, version) == (reply.status, reply.headers["x-ms-version"])


@pytest.mark.parametrize("version", ["2014-02-14", "latest", "2019-02-02x", "2019-13-01"])
def test_other_versions_are_refused(server, share, version):
    """What is no version, or one from before today's signatures, is refused."""
    reply = server.signed("GET", SHARE, {"x-ms-version": version})

    assert (reply.status, reply.code) == (400, "InvalidHeaderValue")


@pytest.fixture
def sas_file(client, share):
    """The path of a file that exists, for shared access signatures."""
    client.create_directory(share, "logs")
    client.create_file_from_text(share, "logs", "out.txt", "0123456789")
    return "logs/out.txt"


def get(server, path, token, **options):
    """Get a path of the share with a SAS, as any HTTP client does."""
    return requests.get(f"{server.base}/batchtest/data/{path}?{token}", timeout=30, **options)


def test_a_file_sas_reads_its_file_in_ranges(server, client, sas_file):
    """The way in which the official recipes follow a log: 206, then 416 at the end."""
    token = client.generate_file_shared_access_signature(
        "data", "logs", "out.txt", FilePermissions.READ, server.clock.now() + timedelta(hours=1)
    )

    part = get(server, sas_file, token, headers={"Range": "bytes=4-"})
    assert (part.status_code, part.text) == (206, "456789")
    end = get(server, sas_file, token, headers={"Range": "bytes=10-"})
    assert (end.status_code, end.headers["x-ms-error-code"]) == (416, "InvalidRange")
    assert end.headers["Content-Range"] == "bytes */10"


def test_a_sas_permits_what_it_says(server, client, sas_file):
    """A signature for reading neither writes, nor deletes, nor lists."""
    expiry = server.clock.now() + timedelta(hours=1)
    token = client.generate_share_shared_access_signature("data", SharePermissions.READ, expiry)
    address = f"{server.base}/batchtest/data"

    assert requests.get(f"{address}/logs/out.txt?{token}", timeout=30).status_code == 200
    for verb, target in (
        ("DELETE", f"{address}/logs/out.txt?{token}"),
        ("PUT", f"{address}/logs/out.txt?comp=range&{token}"),
        ("GET", f"{address}/logs?restype=directory&comp=list&{token}"),
        ("PUT", f"{address}/new?restype=directory&{token}"),
    ):
        refused = requests.request(verb, target, timeout=30)
        assert (
            refused.status_code,
            refused.headers["x-ms-error-code"],
        ) == (403, "AuthorizationPermissionMismatch")
    share_properties = requests.get(f"{address}?restype=share&{token}", timeout=30)
    assert share_properties.headers["x-ms-error-code"] == "AuthorizationResourceTypeMismatch"


def test_create_alone_does_not_replace(server, client, share):
    """With c a file is made once; making it again takes w."""
    expiry = server.clock.now() + timedelta(hours=1)
    url = f"{server.base}/batchtest/data/new.txt"
    headers = {"x-ms-type": "file", "x-ms-content-length": "0"}

    def put(permission):
        token = client.generate_share_shared_access_signature(share, permission, expiry)
        return requests.put(f"{url}?{token}", headers=headers, timeout=30).status_code

    assert [put("c"), put("c"), put("w")] == [201, 403, 201]


def test_a_share_sas_through_azures_client(server, client, share):
    """The client with a SAS in place of a key uploads, lists and downloads."""
    token = client.generate_share_shared_access_signature(
        share, "rcwdl", server.clock.now() + timedelta(hours=1)
    )
    guest = FileService(
        connection_string=f"FileEndpoint={server.base}/batchtest;SharedAccessSignature={token}"
    )

    guest.create_file_from_text(share, None, "hello.txt", "hello")

    assert [item.name for item in guest.list_directories_and_files(share)] == ["hello.txt"]
    assert guest.get_file_to_text(share, None, "hello.txt").content == "hello"
    guest.request_session.close()


def test_an_account_sas_covers_the_types_in_it(server, client, share):
    """Service, containers and objects are permitted one by one."""
    expiry = server.clock.now() + timedelta(hours=1)

    def codes(types):
        token = client.generate_account_shared_access_signature(
            types, AccountPermissions(read=True, list=True), expiry
        )
        targets = ("?comp=list&", "/data?restype=share&", "/data/nope?")
        replies = [
            requests.get(f"{server.base}/batchtest{target}{token}", timeout=30)
            for target in targets
        ]
        return [reply.headers.get("x-ms-error-code", "") for reply in replies]

    mismatch = "AuthorizationResourceTypeMismatch"
    assert ["", mismatch, mismatch] == codes(ResourceTypes(service=True))
    assert [mismatch, "", mismatch] == codes(ResourceTypes(container=True))
    assert [mismatch, mismatch, "ResourceNotFound"] == codes(ResourceTypes(object=True))


def sas(server, text_fields, resource):
    """Sign a service SAS by hand."""
    names = ("sp", "st", "se")
    after = ("si", "sip", "spr", "sv", "rscc", "rscd", "rsce", "rscl", "rsct")
    text = "\n".join(
        [
            *(text_fields.get(name, "") for name in names),
            resource,
            *(text_fields.get(name, "") for name in after),
        ]
    )
    return {**text_fields, "sig": _signature(server, text)}


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({}, 200, None),
        ({"st": "2020-01-01", "sip": "127.0.0.0-127.0.0.9", "spr": "https,http"}, 200, None),
        ({"se": "2020-01-01"}, 403, "AuthenticationFailed"),
        ({"se": "soon"}, 403, "AuthenticationFailed"),
        ({"se": ""}, 403, "AuthenticationFailed"),
        ({"st": "2098-01-01"}, 403, "AuthenticationFailed"),
        ({"st": "soon"}, 403, "AuthenticationFailed"),
        ({"si": "policy"}, 403, "AuthenticationFailed"),
        ({"sip": "10.0.0.1"}, 403, "AuthorizationSourceIPMismatch"),
        ({"sip": "everywhere"}, 403, "AuthorizationSourceIPMismatch"),
        ({"spr": "https"}, 403, "AuthorizationProtocolMismatch"),
        ({"sp": "wd"}, 403, "AuthorizationPermissionMismatch"),
        ({"sv": "2013-08-15"}, 400, "InvalidQueryParameterValue"),
        ({"sv": ""}, 400, "InvalidQueryParameterValue"),
        ({"sr": "x"}, 400, "InvalidQueryParameterValue"),
    ],
)
def test_the_fields_of_a_service_sas(server, sas_file, change, status, code):
    """Each field narrows what a valid signature is good for."""
    fields = {"sv": "2019-02-02", "sr": "f", "sp": "r", "se": "2099-01-01", **change}
    fields = {name: value for name, value in fields.items() if value}
    query = sas(server, fields, "/file/batchtest/data/logs/out.txt")

    reply = requests.get(f"{server.base}/batchtest/data/{sas_file}", params=query, timeout=30)

    assert (status, code) == (reply.status_code, reply.headers.get("x-ms-error-code"))


def test_a_changed_sas_is_refused_with_the_string_to_sign(server, sas_file):
    """Nobody widens a signature; what the server signed is shown, and no key."""
    fields = {"sv": "2019-02-02", "sr": "f", "sp": "r", "se": "2099-01-01"}
    query = sas(server, fields, "/file/batchtest/data/logs/out.txt")

    for change in ({"sp": "rw"}, {"se": "2099-01-02"}, {"rscc": "no-store"}, {"sr": "s"}):
        reply = requests.get(
            f"{server.base}/batchtest/data/{sas_file}", params={**query, **change}, timeout=30
        )
        assert reply.headers["x-ms-error-code"] == "AuthenticationFailed"
        assert "String to sign used was" in reply.text
        assert server.account.key1 not in reply.text


def test_a_repeated_field_is_obeyed_as_it_is_signed(server, sas_file):
    """A second value of a field neither counts nor widens anything."""
    fields = {"sv": "2019-02-02", "sr": "f", "sp": "r", "se": "2099-01-01"}
    query = sas(server, fields, "/file/batchtest/data/logs/out.txt")
    url = f"{server.base}/batchtest/data/{sas_file}"

    reply = requests.delete(url, params=[*query.items(), ("sp", "d")], timeout=30)

    assert reply.headers["x-ms-error-code"] == "AuthorizationPermissionMismatch"


def test_a_sas_sets_headers_and_begins_no_others(server, sas_file):
    """Parameters like rscd replace headers of the answer; line breaks in them do not survive."""
    fields = {
        "sv": "2019-02-02",
        "sr": "f",
        "sp": "r",
        "se": "2099-01-01",
        "rsct": "text/x-log",
        "rscd": "attachment; filename=日.txt\r\nset-cookie: a=b",
    }
    query = sas(server, fields, "/file/batchtest/data/logs/out.txt")

    reply = requests.get(f"{server.base}/batchtest/data/{sas_file}", params=query, timeout=30)

    assert (reply.status_code, reply.headers["Content-Type"]) == (200, "text/x-log")
    assert "set-cookie" not in reply.headers
    assert (
        reply.headers["Content-Disposition"].encode("latin-1").decode()
        == "attachment; filename=日.txtset-cookie: a=b"
    )


def test_an_account_sas_for_another_service_is_refused(server, client, share):
    """The letter f must be in ss."""
    token = client.generate_account_shared_access_signature(
        ResourceTypes(object=True), AccountPermissions.READ, server.clock.now() + timedelta(hours=1)
    )
    fields = dict(pair.split("=", 1) for pair in token.split("&"))
    expiry = fields["se"].replace("%3A", ":")
    text = "\n".join(["batchtest", "r", "b", "o", "", expiry, "", "", fields["sv"], ""])
    query = {
        "sv": fields["sv"], "ss": "b", "srt": "o", "sp": "r", "se": expiry,
        "sig": _signature(server, text),
    }  # fmt: skip

    reply = requests.get(f"{server.base}/batchtest/data/x", params=query, timeout=30)

    assert reply.headers["x-ms-error-code"] == "AuthorizationServiceMismatch"


def test_secrets_stay_out_of_reprs(server):
    """An account shows its name only, a call neither headers nor query."""
    call = Call.of("GET", b"/x?sig=SECRET", [(b"authorization", b"SECRET")], "http", "")

    assert repr(server.account) == "Account(name='batchtest')"
    assert "SECRET" not in repr(call)

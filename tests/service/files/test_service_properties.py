"""Properties of the file service: kept, given back, and the cross-origin rules obeyed."""

import pytest
import requests
from azure.storage.common.models import CorsRule as OldRule
from azure.storage.common.models import Metrics as OldMetrics
from azure.storage.common.models import RetentionPolicy as OldRetention
from azure.storage.fileshare import (
    CorsRule,
    Metrics,
    RetentionPolicy,
    ShareProtocolSettings,
    ShareServiceClient,
    ShareSmbSettings,
    SmbMultichannel,
)

TARGET = "?restype=service&comp=properties"
ROOT = "<StorageServiceProperties>{}</StorageServiceProperties>"
RULE = (
    "<CorsRule><AllowedOrigins>{}</AllowedOrigins><AllowedMethods>{}</AllowedMethods>"
    "<AllowedHeaders>{}</AllowedHeaders><ExposedHeaders>{}</ExposedHeaders>"
    "<MaxAgeInSeconds>{}</MaxAgeInSeconds></CorsRule>"
)


@pytest.fixture
def newest(server):
    """Azure's newest client."""
    with ShareServiceClient.from_connection_string(server.connection_string) as service:
        yield service


def test_azures_newest_client_gets_what_it_set(newest):
    """Section by section; what is not sent stays."""
    metrics = Metrics(
        enabled=True, include_apis=True, retention_policy=RetentionPolicy(enabled=True, days=5)
    )
    rule = CorsRule(["http://a", "http://b"], ["GET"], max_age_in_seconds=9, allowed_headers=["*"])
    smb = ShareSmbSettings(multichannel=SmbMultichannel(enabled=True))
    newest.set_service_properties(hour_metrics=metrics, cors=[rule])
    newest.set_service_properties(protocol=ShareProtocolSettings(smb=smb))

    found = newest.get_service_properties()

    assert (found["hour_metrics"].enabled, found["hour_metrics"].include_apis) == (True, True)
    assert found["hour_metrics"].retention_policy.days == 5
    assert found["minute_metrics"].enabled is False
    (kept,) = found["cors"]
    assert (kept.allowed_origins, kept.max_age_in_seconds) == ("http://a,http://b", 9)
    assert found["protocol"].smb.multichannel.enabled is True


def test_azures_old_client_gets_what_it_set(client):
    """Which knows no protocol settings."""
    retention = OldRetention(enabled=False)
    client.set_file_service_properties(
        minute_metrics=OldMetrics(enabled=True, include_apis=False, retention_policy=retention),
        cors=[OldRule(["*"], ["GET", "PUT"], 0)],
    )

    found = client.get_file_service_properties()

    assert (found.minute_metrics.enabled, found.hour_metrics.enabled) == (True, False)
    assert found.cors[0].allowed_methods == ["GET", "PUT"]


def put(server, sections):
    """Set properties; returns the reply."""
    return server.signed("PUT", TARGET, {}, ROOT.format(sections).encode())


@pytest.mark.parametrize(
    ("sections", "code"),
    [
        ("</x>", "InvalidXmlDocument"),
        ("<Cors>" + RULE.format("*", "GET", "", "", "1") * 6 + "</Cors>", "InvalidXmlDocument"),
        ("<Cors>" + RULE.format("", "GET", "", "", "1") + "</Cors>", "InvalidXmlNodeValue"),
        ("<Cors>" + RULE.format("*", "LOOK", "", "", "1") + "</Cors>", "InvalidXmlNodeValue"),
        ("<Cors>" + RULE.format("*", "GET", "", "", "x") + "</Cors>", "InvalidXmlNodeValue"),
        ("<HourMetrics><Version>1.0</Version></HourMetrics>", "InvalidXmlNodeValue"),
        (
            "<HourMetrics><Version>2</Version><Enabled>false</Enabled></HourMetrics>",
            "InvalidXmlNodeValue",
        ),
        (
            (
                "<HourMetrics><Version>1.0</Version><Enabled>false</Enabled><RetentionPolicy>"
                "<Enabled>true</Enabled><Days>400</Days></RetentionPolicy></HourMetrics>"
            ),
            "InvalidXmlNodeValue",
        ),
    ],
)
def test_what_cannot_be_set(server, sections, code):
    """It is refused whole, and what was set before stays."""
    before = server.signed("GET", TARGET).body
    reply = put(server, sections)

    assert (reply.status, reply.code) == (400, code)
    assert server.signed("GET", TARGET).body == before


def preflight(server, origin="http://page", method="PUT", headers="x-ms-type,X-MS-META-a"):
    """Ask what a browser asks."""
    return requests.options(
        f"{server.base}/batchtest/data/f",
        headers={
            "Origin": origin,
            "Access-Control-Request-Method": method,
            "Access-Control-Request-Headers": headers,
        },
        timeout=30,
    )


def test_a_browser_is_told_what_a_page_may_do(server, share):
    """Without a signature, by the first rule that fits."""
    assert preflight(server).headers["x-ms-error-code"] == "CorsPreflightFailure"
    rules = RULE.format("http://page", "PUT,GET", "x-ms-type,x-ms-meta-*", "x-ms-*,ETag", "60")
    assert put(server, f"<Cors>{rules}</Cors>").status == 202

    good = preflight(server)

    assert good.status_code == 200
    assert good.headers["access-control-allow-origin"] == "http://page"
    assert good.headers["access-control-allow-credentials"] == "true"
    assert good.headers["access-control-allow-methods"] == "PUT"
    assert good.headers["access-control-allow-headers"] == "x-ms-type,X-MS-META-a"
    assert good.headers["access-control-max-age"] == "60"
    for refused in (
        preflight(server, origin="http://page.evil"),
        preflight(server, method="DELETE"),
        preflight(server, headers="x-ms-other"),
    ):
        assert refused.headers["x-ms-error-code"] == "CorsPreflightFailure"
        assert "access-control-allow-origin" not in refused.headers
    bare = requests.options(f"{server.base}/batchtest/data/f", timeout=30)
    assert bare.headers["x-ms-error-code"] == "MissingRequiredHeader"


def test_an_answer_lets_the_page_read_it(server, share):
    """Refusals too, so that the page learns why; other pages learn nothing."""
    put(server, "<Cors>" + RULE.format("http://*.site", "GET", "*", "ETag", "1") + "</Cors>")

    mine = server.signed("GET", "/data?restype=share", {"origin": "http://a.site"})
    refused = server.signed("GET", "/nope?restype=share", {"origin": "http://a.site"})
    other = server.signed("GET", "/data?restype=share", {"origin": "http://other"})

    assert mine.headers["access-control-allow-origin"] == "http://a.site"
    assert mine.headers["access-control-expose-headers"] == "ETag"
    assert refused.headers["access-control-allow-origin"] == "http://a.site"
    assert "access-control-allow-origin" not in other.headers
    assert other.headers["vary"] == "Origin"


def test_a_sas_may_set_them(server, client):
    """With s in srt and w in sp."""
    expiry = f"{server.clock.now().year + 1}-01-01"
    token = client.generate_account_shared_access_signature("s", "r", expiry)
    reply = requests.put(f"{server.base}/batchtest{TARGET}&{token}", data="x", timeout=30)

    assert reply.headers["x-ms-error-code"] == "AuthorizationPermissionMismatch"


def test_a_directory_takes_smb_properties(server, newest, client, share):
    """Metadata stays, the ETag changes."""
    client.create_directory(share, "d", metadata={"a": "b"})
    directory = newest.get_share_client(share).get_directory_client("d")
    before = directory.get_directory_properties().etag

    directory.set_http_headers(file_attributes="none")

    after = directory.get_directory_properties()
    assert after.etag != before
    assert after.metadata == {"a": "b"}


def test_a_document_is_no_deeper_than_one_needs(server):
    """A client cannot make the service dive until it drowns."""
    nested = "<a>" * 9000 + "</a>" * 9000
    reply = server.signed("PUT", f"/{TARGET}", {}, ROOT.format(f"<Cors>{nested}</Cors>").encode())
    assert (reply.status, reply.code) == (400, "InvalidXmlDocument")

"""The identity endpoints."""

import json

import jwt
import pytest
from azure.identity import ClientSecretCredential

SCOPE = "https://management.azure.com/.default"


def _granted(endpoint, **changes: str):
    fields = {
        "grant_type": "client_credentials",
        "client_id": endpoint.client,
        "client_secret": endpoint.secret,
        "scope": SCOPE,
        **changes,
    }
    given = {name: value for name, value in fields.items() if value != "ABSENT"}
    return endpoint.post(f"/{endpoint.tenant}/oauth2/v2.0/token", **given)


def test_the_documents_lead_to_the_endpoints(endpoint) -> None:
    """What the configuration names is there, at the service's own address."""
    path = f"/{endpoint.tenant}/v2.0/.well-known/openid-configuration"
    configuration = endpoint.get(path).json()
    tenant = f"{endpoint.base}/{endpoint.tenant}"
    assert configuration["issuer"] == f"{tenant}/v2.0"
    assert configuration["token_endpoint"] == f"{tenant}/oauth2/v2.0/token"
    assert configuration["authorization_endpoint"].startswith(tenant)
    assert configuration["jwks_uri"] == f"{tenant}/discovery/v2.0/keys"


def test_the_key_set_verifies_a_token(endpoint) -> None:
    """Anyone can check a token with the published key."""
    answer = _granted(endpoint)
    assert answer.headers["Cache-Control"] == "no-store"
    token = answer.json()["access_token"]
    keys = endpoint.get(f"/{endpoint.tenant}/discovery/v2.0/keys").json()["keys"]
    header = jwt.get_unverified_header(token)
    assert [(key["kid"], key["alg"]) for key in keys] == [(header["kid"], "RS256")]
    assert "d" not in keys[0]
    key = jwt.algorithms.RSAAlgorithm.from_jwk(json.dumps(keys[0]))
    claims = jwt.decode(
        token,
        key,
        algorithms=["RS256"],
        audience="https://management.azure.com",
        issuer=f"{endpoint.base}/{endpoint.tenant}/v2.0",
        options={"verify_exp": False, "verify_iat": False, "verify_nbf": False},
    )
    assert claims["appid"] == endpoint.client
    assert claims["tid"] == endpoint.tenant
    assert claims["exp"] - claims["iat"] == answer.json()["expires_in"]


def test_azures_own_client_gets_a_token(endpoint) -> None:
    """azure-identity works against the service as its authority."""
    with ClientSecretCredential(
        endpoint.tenant,
        endpoint.client,
        endpoint.secret,
        authority=endpoint.base,
        connection_verify=endpoint.ca_file,
        disable_instance_discovery=True,
    ) as credential:
        token = credential.get_token(SCOPE).token
    assert endpoint.tokens.verify(token).client_id == endpoint.client


@pytest.mark.parametrize(
    "audience",
    [
        "https://management.azure.com",
        "https://management.azure.com/",
        "https://storage.azure.com",
        "SELF",
    ],
)
def test_scopes(endpoint, audience: str) -> None:
    """Tokens are issued for the management plane, for storage, and for the service itself."""
    audience = audience.replace("SELF", endpoint.base)
    token = _granted(endpoint, scope=f"{audience}/.default openid").json()["access_token"]
    assert jwt.decode(token, options={"verify_signature": False})["aud"] == audience


@pytest.mark.parametrize(
    ("changes", "status", "error", "number"),
    [
        ({"client_secret": "a guess"}, 401, "invalid_client", 7000215),
        ({"client_secret": "ABSENT"}, 401, "invalid_client", 7000218),
        ({"client_id": "someone"}, 400, "unauthorized_client", 700016),
        ({"client_id": "ABSENT"}, 400, "invalid_request", 900144),
        ({"grant_type": "password"}, 400, "unsupported_grant_type", 70003),
        ({"grant_type": "ABSENT"}, 400, "invalid_request", 900144),
        ({"scope": "ABSENT"}, 400, "invalid_request", 900144),
        ({"scope": "https://management.azure.com"}, 400, "invalid_scope", 1002012),
        ({"scope": "https://a/.default https://b/.default"}, 400, "invalid_scope", 1002012),
        ({"scope": "https://graph.microsoft.com/.default"}, 400, "invalid_resource", 500011),
        ({"scope": "x" * 70_000}, 413, "invalid_request", 900144),
    ],
)
def test_refusals(endpoint, changes: dict, status: int, error: str, number: int) -> None:
    """Each mistake has Entra ID's own code, and no answer shows the secret."""
    answer = _granted(endpoint, **changes)
    document = answer.json()
    assert (answer.status_code, document["error"]) == (status, error)
    assert document["error_codes"] == [number]
    assert document["error_description"].startswith(f"AADSTS{number}: ")
    assert endpoint.secret not in answer.text
    assert "a guess" not in answer.text


def test_another_tenant_is_not_found(endpoint) -> None:
    """The service has one tenant."""
    for path in ("v2.0/.well-known/openid-configuration", "discovery/v2.0/keys"):
        answer = endpoint.get(f"/common/{path}")
        assert (answer.status_code, answer.json()["error_codes"]) == (400, [90002])
    answer = endpoint.post("/common/oauth2/v2.0/token", grant_type="client_credentials")
    assert (answer.status_code, answer.json()["error_codes"]) == (400, [90002])


def test_a_body_of_another_type_is_refused(endpoint) -> None:
    """A token is asked for with a form."""
    url = f"{endpoint.base}/{endpoint.tenant}/oauth2/v2.0/token"
    answer = endpoint.session.post(url, json={"grant_type": "client_credentials"}, timeout=30)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


@pytest.mark.parametrize("path", ["/adfs/oauth2/token", "/TENANT/oauth2/token?api-version=1.0"])
def test_old_clients_name_a_resource(endpoint, path: str) -> None:
    """The v1 endpoint answers with numbers as strings, as it always did."""
    answer = endpoint.post(
        path.replace("TENANT", endpoint.tenant),
        grant_type="client_credentials",
        client_id=endpoint.client,
        client_secret=endpoint.secret,
        resource="https://management.core.windows.net/",
    )
    document = answer.json()
    assert answer.status_code == 200
    assert document["resource"] == "https://management.core.windows.net/"
    assert int(document["expires_on"]) - int(document["not_before"]) == int(document["expires_in"])
    claims = endpoint.tokens.verify(document["access_token"])
    assert claims.audience == "https://management.core.windows.net/"

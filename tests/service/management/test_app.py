"""The way of a request through the management plane, up to the handler of its noun."""

import copy
import logging

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batchai_recipes.service.clock import SystemClock
from batchai_recipes.service.identity.principals import Principals
from batchai_recipes.service.management.app import ENDPOINTS

GROUPS = "/resourceGroups"


def _code(answer: requests.Response) -> str:
    return answer.json()["error"]["code"]


def _get(plane, path: str, **extra) -> requests.Response:
    with requests.Session() as session:
        session.trust_env = False
        return session.get(plane.base + path, verify=plane.ca_file, timeout=30, **extra)


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "AuthenticationFailed"),
        ({"Authorization": "Basic YTpi"}, "AuthenticationFailed"),
        ({"Authorization": "Bearer"}, "AuthenticationFailed"),
        ({"Authorization": "Bearer abc"}, "InvalidAuthenticationToken"),
    ],
)
def test_nobody_gets_in_without_a_token(plane, headers: dict, code: str) -> None:
    """Every path but those of the identity endpoints answers 401 with a challenge."""
    for path in ("/", "/providers/Microsoft.BatchAI/operations", f"/subscriptions/{'x' * 36}"):
        answer = _get(plane, path, headers=headers)
        assert (answer.status_code, _code(answer)) == (401, code)
        challenge = answer.headers["WWW-Authenticate"]
        assert f'Bearer authorization_uri="{plane.base}/{plane.tenant}"' in challenge
        assert 'error="invalid_token"' in challenge


def test_a_token_for_storage_is_refused(plane) -> None:
    """A token of this very service does not open an API that it is not for."""
    token, _ = plane.tokens.issue(plane.client, "https://storage.azure.com")
    answer = _get(plane, "/subscriptions/x", headers={"Authorization": f"Bearer {token}"})
    assert (answer.status_code, _code(answer)) == (401, "InvalidAuthenticationTokenAudience")


def test_a_token_ends_with_its_principal(plane) -> None:
    """A principal that was removed is refused with the token that it still has."""
    principals = Principals(plane.store)
    made = principals.create("short-lived", plane.tenant, SystemClock())
    token, _ = plane.tokens.issue(made.principal.client_id, "https://management.azure.com")
    path = f"/subscriptions/{plane.subscription}/resourceGroups?api-version=2021-04-01"
    headers = {"Authorization": f"Bearer {token}"}
    assert _get(plane, path, headers=headers).status_code == 200
    principals.remove("short-lived")
    answer = _get(plane, path, headers=headers)
    assert (answer.status_code, _code(answer)) == (401, "InvalidAuthenticationToken")
    assert "has been removed" in answer.json()["error"]["message"]


def test_the_services_own_address_is_an_audience(plane) -> None:
    """A token for the service itself opens it like one for Azure's management plane."""
    token, _ = plane.tokens.issue(plane.client, plane.base)
    path = f"/subscriptions/{plane.subscription}/resourceGroups?api-version=2021-04-01"
    assert _get(plane, path, headers={"Authorization": f"Bearer {token}"}).status_code == 200


@pytest.mark.parametrize(
    ("version", "code"),
    [
        ("", "MissingApiVersionParameter"),
        ("2019-01-01", "InvalidApiVersionParameter"),
        ("<script>", "InvalidApiVersionParameter"),
    ],
)
def test_batch_ai_has_one_version(api, group: str, version: str, code: str) -> None:
    """A missing or another version of Batch AI is refused, and the valid one named."""
    answer = api("GET", f"{group}/providers/Microsoft.BatchAI/workspaces", version=version)
    assert (answer.status_code, _code(answer)) == (400, code)
    if version:
        assert "2018-05-01" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("version", "status"),
    [("2016-06-01", 200), ("2099-12-31-preview", 200), ("2021-13-01", 400), ("latest", 400)],
)
def test_resource_groups_take_any_date(api, version: str, status: int) -> None:
    """The resources API has had many versions; any date is taken, and nothing else."""
    assert api("GET", GROUPS, version=version).status_code == status


def test_paths_and_parameters_are_matched_without_regard_to_case(api, workspace: str) -> None:
    """Old clients write resourcegroups, others API-VERSION; the id is shown as created."""
    path = workspace.upper().replace("/RESOURCEGROUPS", "/resourcegroups")
    answer = api("GET", path, params={"API-VERSION": "2018-05-01"}, version=None)
    assert answer.status_code == 200
    assert answer.json()["id"].endswith(workspace)


def test_another_subscription_is_not_found(plane, api) -> None:
    """There is one subscription."""
    url = f"{plane.base}/subscriptions/other/resourceGroups?api-version=2021-04-01"
    answer = api.session.get(url, timeout=30)
    assert (answer.status_code, _code(answer)) == (404, "SubscriptionNotFound")


def test_an_unknown_path_is_not_found(api) -> None:
    """A path of another provider is answered in Azure's shape."""
    answer = api("GET", "/providers/Microsoft.Compute/virtualMachines")
    assert (answer.status_code, _code(answer)) == (404, "InvalidResourceType")


def test_another_method_is_not_allowed(api, workspace: str) -> None:
    """The answer names the methods that there are."""
    answer = api("POST", workspace)
    assert (answer.status_code, _code(answer)) == (405, "MethodNotAllowed")


@pytest.mark.parametrize(
    ("body", "content_type", "status", "code"),
    [
        (b"{", "application/json", 400, "InvalidRequestContent"),
        (b"\xff\xfe", "application/json", 400, "InvalidRequestContent"),
        (b'{"location": NaN}', "application/json", 400, "InvalidRequestContent"),
        (b'{"location": "\\ud800"}', "application/json", 400, "InvalidRequestContent"),
        (b"[" * 100_000, "application/json", 400, "InvalidRequestContent"),
        (b"1" * 5_000, "application/json", 400, "InvalidRequestContent"),
        (b"[]", "application/json", 400, "InvalidPropertyValue"),
        (b"null", "application/json", 400, "InvalidRequestContent"),
        (b"", "application/json", 400, "InvalidRequestContent"),
        (b"{}", "application/json; charset=utf-8", 400, "MissingRequiredProperty"),
        (b"{}", "text/plain", 415, "UnsupportedMediaType"),
        (b"{}", "", 415, "UnsupportedMediaType"),
        (b" " * (4 * 1024 * 1024 + 1), "application/json", 413, "RequestContentTooLarge"),
    ],
)
def test_bad_bodies_are_refused(
    *, api, group: str, body: bytes, content_type: str, status: int, code: str
) -> None:
    """Whatever a body holds, the answer is a clear refusal."""
    path = f"{group}/providers/Microsoft.BatchAI/workspaces/w"
    answer = api("PUT", path, data=body, headers={"Content-Type": content_type})
    assert (answer.status_code, _code(answer)) == (status, code)


def test_answers_carry_ids(api, caplog: pytest.LogCaptureFixture) -> None:
    """The caller's correlation id is taken over, and the log names the request."""
    caplog.set_level(logging.INFO)
    headers = {
        "x-ms-correlation-request-id": "correlation-1",
        "x-ms-client-request-id": "client-1",
        "x-ms-return-client-request-id": "true",
    }
    answer = api("GET", GROUPS, headers=headers)
    assert answer.headers["x-ms-correlation-request-id"] == "correlation-1"
    assert answer.headers["x-ms-client-request-id"] == "client-1"
    assert answer.headers["x-ms-request-id"] == answer.headers["request-id"]
    assert "Date" in answer.headers
    lines = [line for line in caplog.messages if answer.headers["request-id"] in line]
    assert len(lines) == 1
    assert "method=GET" in lines[0]
    assert "status=200" in lines[0]
    assert "correlation_id=correlation-1" in lines[0]
    assert "Bearer" not in caplog.text


def test_a_correlation_id_that_is_none_is_replaced(api) -> None:
    """What a client sends reaches headers and log only if it looks like an id."""
    answer = api("GET", GROUPS, headers={"x-ms-correlation-request-id": "a b=c"})
    assert answer.headers["x-ms-correlation-request-id"] == answer.headers["request-id"]


_WORDS = st.sampled_from(["GROUP", "workspace", "cluster", "experiment", "x", "%00", "%ED%A0%80"])
_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=4)
_VALUES = st.recursive(
    st.none()
    | st.integers()
    | _TEXT
    | st.booleans()
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(_TEXT, inner, max_size=2),
    max_leaves=4,
)


def _places(value: object, place: tuple = ()) -> list[tuple]:
    """Return the place of every value inside a JSON document."""
    inner = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value if isinstance(value, list) else ())
    )
    return [place, *(found for name, one in inner for found in _places(one, (*place, name)))]


def _replaced(value: object, place: tuple, other: object) -> object:
    """Return a JSON document with another value in one place."""
    if not place:
        return other
    value = copy.deepcopy(value)
    value[place[0]] = _replaced(value[place[0]], place[1:], other)
    return value


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    endpoint=st.sampled_from([one for one in ENDPOINTS if not one.waits]),
    words=st.lists(_WORDS, min_size=6, max_size=6),
    body=_VALUES,
    params=st.dictionaries(
        st.sampled_from(["outputdirectoryid", "directory", "maxresults", "$skiptoken", "$top"]),
        _TEXT,
        max_size=2,
    ),
)
def test_no_request_makes_the_service_fail(*, api, group, endpoint, words, body, params) -> None:
    """Whatever is asked for, the answer is a result or a refusal, never a 5xx."""
    words = [word.replace("GROUP", group.rpartition("/")[2]) for word in words]
    kinds = ("resourceGroup", "workspace", "cluster", "experiment", "job", "fileServer")
    names = {f"{kind}Name": word for kind, word in zip(kinds, words, strict=True)}
    others = ("accountName", "location", "operationId", "resourceProviderNamespace")
    names |= dict.fromkeys(others, words[0])
    subscription = "/subscriptions/{subscriptionId}"
    if not endpoint.path.startswith(subscription):
        return  # what lies outside of subscriptions takes nothing from a request
    path = endpoint.path.removeprefix(subscription).format_map(names)
    answer = api(endpoint.method, path, body, params=params)
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400 and endpoint.method != "HEAD":
        assert set(answer.json()["error"]) >= {"code", "message"}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data(), other=_VALUES, is_job=st.booleans())
def test_no_mistake_in_a_body_makes_the_service_fail(
    *, api, experiment, workspace, cluster_body, job_body, data, other, is_job
) -> None:
    """A good request with any value in any place is taken or refused, never a 5xx."""
    directories = [{"id": "A", "pathPrefix": "$AZ_BATCHAI_MOUNT_ROOT/afs", "pathSuffix": "x"}]
    variables = [{"name": "A", "value": "b"}]
    body, path = cluster_body(), f"{workspace}/clusters/c"
    if is_job:
        path = f"{experiment}/jobs/j"
        body = job_body(
            outputDirectories=directories,
            environmentVariables=variables,
            constraints={"maxWallClockTime": "P1D"},
            **cluster_body()["properties"]["nodeSetup"],
        )
    body = _replaced(body, data.draw(st.sampled_from(_places(body))), other)
    assert api("PUT", path, body).status_code < 500
    if is_job:
        api("POST", f"{path}/listOutputFiles", params={"outputdirectoryid": "A"})
    assert api("DELETE", path).status_code in {202, 204}

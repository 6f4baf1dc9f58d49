"""If-Match and If-None-Match, for every kind of resource that shows an ETag."""

import pytest

SERVER = {
    "properties": {
        "vmSize": "STANDARD_D1",
        "sshConfiguration": {"userAccountSettings": {"adminUserName": "demo"}},
        "dataDisks": {"diskSizeInGB": 1, "diskCount": 1, "storageAccountType": "Standard_LRS"},
    }
}
STALE = {"If-Match": '"0xSTALE"'}
ABSENT = {"If-None-Match": "*"}


@pytest.fixture(params=["workspaces", "experiments", "clusters", "fileServers", "jobs"])
def named(request, group, workspace, experiment, cluster_body, job_body) -> tuple[str, object]:
    """The path of a resource that is not there, and the body that makes it."""
    return {
        "workspaces": (
            f"{group}/providers/Microsoft.BatchAI/workspaces/new",
            {"location": "eastus"},
        ),
        "experiments": (f"{workspace}/experiments/new", None),
        "clusters": (f"{workspace}/clusters/new", cluster_body()),
        "fileServers": (f"{workspace}/fileServers/new", SERVER),
        "jobs": (f"{experiment}/jobs/new", job_body()),
    }[request.param]


def _refused(answer) -> bool:
    refused = answer.status_code == 412
    assert not refused or answer.json()["error"]["code"] == "PreconditionFailed"
    return refused


def test_creating_can_be_for_what_is_not_there(api, named) -> None:
    """Two who make the same thing with If-None-Match: one does."""
    path, body = named
    assert _refused(api("PUT", path, body, headers=STALE))
    assert _refused(api("PUT", path, body, headers={"If-Match": "*"}))
    assert api("GET", path).status_code == 404
    assert api("PUT", path, body, headers=ABSENT).status_code in {200, 202}
    assert _refused(api("PUT", path, body, headers=ABSENT))
    assert api("PUT", path, body).status_code == 200


def test_a_change_can_be_for_what_was_seen(api, named) -> None:
    """Neither PUT nor DELETE touches what has another ETag."""
    path, body = named
    api("PUT", path, body)
    etag = api("GET", path).headers["ETag"]
    assert _refused(api("PUT", path, body, headers=STALE))
    assert _refused(api("DELETE", path, headers=STALE))
    assert api("PUT", path, body, headers={"If-Match": etag}).status_code == 200
    assert api("GET", path).headers["ETag"] == etag
    seen = {"If-Match": f'"other", {etag}'}
    assert api("DELETE", path, headers=seen).status_code == 202
    assert api("DELETE", path).status_code == 204
    assert _refused(api("DELETE", path, headers=seen))


def test_an_update_changes_the_etag_once(api, workspace: str) -> None:
    """Of two who saw the same, the second is told to look again."""
    etag = api("GET", workspace).headers["ETag"]
    seen = {"If-Match": etag}
    assert api("PATCH", workspace, {"tags": {"a": "1"}}, headers=seen).status_code == 200
    answer = api("PATCH", workspace, {"tags": {"a": "2"}}, headers=seen)
    assert _refused(answer)
    assert "Get it again" in answer.json()["error"]["message"]
    assert api("GET", workspace).json()["tags"] == {"a": "1"}


def test_a_cluster_is_scaled_only_as_it_was_seen(api, cluster: str) -> None:
    """PATCH of a cluster heeds the condition too."""
    scale = {"properties": {"scaleSettings": {"manual": {"targetNodeCount": 2}}}}
    assert _refused(api("PATCH", cluster, scale, headers=STALE))
    etag = api("GET", cluster).headers["ETag"]
    assert api("PATCH", cluster, scale, headers={"If-Match": etag}).status_code == 200


def test_who_has_what_there_is_gets_no_copy(api, named) -> None:
    """304 without a body, as long as nothing has changed."""
    path, body = named
    api("PUT", path, body)
    etag = api("GET", path).headers["ETag"]
    answer = api("GET", path, headers={"If-None-Match": etag})
    assert (answer.status_code, answer.content, answer.headers["ETag"]) == (304, b"", etag)
    assert api("GET", path, headers={"If-None-Match": '"other"'}).status_code == 200

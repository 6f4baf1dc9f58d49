"""Workspaces."""

import re
from datetime import datetime

import pytest


def moment(stamp: str) -> datetime:
    """Read a time stamp; as texts they do not sort, since trailing zeros are trimmed."""
    whole, _, fraction = stamp.removesuffix("Z").partition(".")
    return datetime.fromisoformat(f"{whole}.{fraction:0<6}+00:00")


def test_a_workspace_is_made_at_once(api, plane, group: str) -> None:
    """PUT answers 200 with the workspace, as the real service did."""
    path = f"{group}/providers/Microsoft.BatchAI/workspaces/w"
    answer = api("PUT", path, {"location": "northeurope"})
    assert answer.status_code == 200
    shown = answer.json()
    times = shown["properties"].pop("creationTime")
    assert shown == {
        "id": f"/subscriptions/{plane.subscription}{path}",
        "name": "w",
        "type": "Microsoft.BatchAI/workspaces",
        "location": "northeurope",
        "properties": {
            "provisioningState": "succeeded",
            "provisioningStateTransitionTime": times,
        },
    }
    assert re.fullmatch(r'"0x[0-9A-F]+"', answer.headers["ETag"])
    assert answer.headers["Last-Modified"].endswith(" GMT")


def test_a_second_put_changes_nothing(api, workspace: str) -> None:
    """The same request again shows the workspace with its original times and etag."""
    before = api("GET", workspace)
    after = api("PUT", workspace, {"location": "northeurope"})
    assert (before.json(), before.headers["ETag"]) == (after.json(), after.headers["ETag"])


def test_a_get_can_be_put_back(api, workspace: str) -> None:
    """What only the service sets is taken without effect."""
    shown = api("GET", workspace).json()
    answer = api("PUT", workspace, shown)
    assert (answer.status_code, answer.json()) == (200, shown)


def test_tags_can_be_patched(api, workspace: str) -> None:
    """PATCH replaces the tags, and the etag with them."""
    before = api("GET", workspace).headers["ETag"]
    answer = api("PATCH", workspace, {"tags": {"a": "b"}})
    assert (answer.status_code, answer.json()["tags"]) == (200, {"a": "b"})
    assert answer.headers["ETag"] != before


def test_a_workspace_cannot_move(api, workspace: str) -> None:
    """A PUT with another location is a conflict."""
    answer = api("PUT", workspace, {"location": "eastus"})
    assert (answer.status_code, answer.json()["error"]["target"]) == (409, "location")


def test_a_put_replaces_tags(api, workspace: str) -> None:
    """As every PUT of Azure Resource Manager does."""
    body = {"location": "northeurope", "tags": {"a": "b"}}
    assert api("PUT", workspace, body).json()["tags"] == {"a": "b"}
    assert "tags" not in api("PUT", workspace, {"location": "northeurope"}).json()
    assert api("PUT", workspace, {"location": "on the moon!"}).status_code == 400


def test_lists(api, workspace: str) -> None:
    """A workspace is in the list of its group and in that of the subscription."""
    group = workspace.partition("/providers")[0]
    by_group = api("GET", f"{group}/providers/Microsoft.BatchAI/workspaces").json()
    assert [entry["name"] for entry in by_group["value"]] == ["workspace"]
    assert "nextLink" not in by_group
    everywhere = api("GET", "/providers/Microsoft.BatchAI/workspaces").json()
    assert any(entry["id"].endswith(workspace) for entry in everywhere["value"])


@pytest.mark.parametrize("size", ["0", "1001", "x", "-1", "٣"])
def test_page_sizes_are_bounded(api, size: str) -> None:
    """Maxresults is a number from 1 to 1000."""
    answer = api("GET", "/providers/Microsoft.BatchAI/workspaces", params={"maxresults": size})
    assert (answer.status_code, answer.json()["error"]["target"]) == (400, "maxresults")


@pytest.mark.parametrize("token", ["a", "ä", "YQ", "/w==", "_w=="])
def test_a_made_up_skip_token_is_refused(api, token: str) -> None:
    """Only what a nextLink held is taken."""
    path = "/providers/Microsoft.BatchAI/workspaces"
    answer = api("GET", path, params={"$skiptoken": token})
    assert (answer.status_code, answer.json()["error"]["target"]) == (400, "$skiptoken")


def test_deleting_reports_the_end_by_operation(api, plane, workspace: str) -> None:
    """202 with both addresses; polling either says Succeeded and names the workspace."""
    begun = api("DELETE", workspace)
    assert (begun.status_code, begun.content) == (202, b"")
    location = "/providers/Microsoft.BatchAI/locations/northeurope/"
    assert f"{location}operationresults/" in begun.headers["Azure-AsyncOperation"]
    assert f"{location}operationstatuses/" in begun.headers["Location"]
    for header in ("Azure-AsyncOperation", "Location"):
        answer = api.session.get(begun.headers[header], timeout=30)
        shown = answer.json()
        assert (answer.status_code, shown["status"]) == (200, "Succeeded")
        assert shown["id"] == begun.headers[header].partition("?")[0]
        assert shown["name"] == shown["id"].rpartition("/")[2]
        group = workspace.split("/")[2]
        assert shown["properties"] == {"resourceId": f"{plane.subscription}${group}$workspace"}
        assert moment(shown["endTime"]) >= moment(shown["startTime"])
    assert api("GET", workspace).json()["error"]["code"] == "WorkspaceNotFound"
    assert api("DELETE", workspace).status_code == 204


@pytest.mark.usefixtures("experiment")
def test_deleting_twice_is_one_operation(api, workspace: str, scheduler) -> None:
    """The second request joins the first, while there is something in it that must go before."""
    scheduler.held.set()
    first, second = api("DELETE", workspace), api("DELETE", workspace)
    assert first.headers["Location"] == second.headers["Location"]
    assert api("PUT", workspace, {"location": "northeurope"}).status_code == 409


def test_what_is_empty_is_gone_at_once(api, workspace: str, scheduler) -> None:
    """Nothing runs in it that the scheduler would have to end."""
    scheduler.held.set()
    begun = api("DELETE", workspace)
    assert begun.status_code == 202
    assert api("GET", workspace).status_code == 404
    answer = api.session.get(begun.headers["Azure-AsyncOperation"], timeout=30)
    assert answer.json()["status"] == "Succeeded"


def test_a_workspace_needs_its_group(api) -> None:
    """What a request lies in is named when it is missing."""
    path = "/resourceGroups/missing-group/providers/Microsoft.BatchAI/workspaces/w"
    answer = api("PUT", path, {"location": "eastus"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "ResourceGroupNotFound")


@pytest.mark.parametrize("name", ["a.b", "x" * 65, "a b", "ä"])
def test_bad_names_are_refused(api, group: str, name: str) -> None:
    """The rule is told."""
    path = f"{group}/providers/Microsoft.BatchAI/workspaces/{name}"
    answer = api("PUT", path, {"location": "eastus"})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (400, "InvalidResourceName")
    assert error["target"] == "workspaceName"

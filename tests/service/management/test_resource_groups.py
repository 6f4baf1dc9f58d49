"""Resource groups."""

import json

import pytest

VERSION = "2021-04-01"


def test_a_group_is_created_once(api, plane) -> None:
    """The first PUT answers 201, the next 200 with the new tags."""
    path = "/resourceGroups/created-once"
    first = api("PUT", path, {"location": "North Europe", "tags": {"a": "b"}}, version=VERSION)
    assert first.status_code == 201
    assert first.json() == {
        "id": f"/subscriptions/{plane.subscription}{path}",
        "name": "created-once",
        "type": "Microsoft.Resources/resourceGroups",
        "location": "northeurope",
        "tags": {"a": "b"},
        "properties": {"provisioningState": "Succeeded"},
    }
    second = api("PUT", path, {"location": "northeurope"}, version=VERSION)
    assert second.status_code == 200
    assert "tags" not in second.json()


def test_a_group_cannot_move(api, group: str) -> None:
    """A PUT with another location is a conflict."""
    answer = api("PUT", group, {"location": "eastus"}, version=VERSION)
    assert answer.status_code == 409
    assert answer.json()["error"]["code"] == "InvalidResourceGroupLocation"


@pytest.mark.parametrize("name", ["%2E%2E%20", "a.", "x" * 91, "a b", "a%00", "ä"])
def test_bad_names_are_refused(api, name: str) -> None:
    """A name becomes part of paths on disk, so it is checked before anything is made."""
    answer = api("PUT", f"/resourceGroups/{name}", {"location": "eastus"}, version=VERSION)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "InvalidResourceName")


def test_tags_can_be_patched(api, group: str) -> None:
    """PATCH replaces the tags and keeps everything else."""
    answer = api("PATCH", group, {"tags": {"owner": "me"}}, version=VERSION)
    assert (answer.status_code, answer.json()["tags"]) == (200, {"owner": "me"})
    assert api("PATCH", group, {}, version=VERSION).json()["tags"] == {"owner": "me"}


def test_a_group_is_changed_and_deleted_only_as_it_was_read(api, group: str) -> None:
    """By its ETag, which is new after each change; and made only where there is none."""
    location = api("GET", group, version=VERSION).json()["location"]
    read = {"If-Match": api("GET", group, version=VERSION).headers["ETag"]}
    changed = api("PATCH", group, {"tags": {"a": "b"}}, version=VERSION, headers=read)
    assert changed.status_code == 200
    for late in (
        api("PATCH", group, {"tags": {}}, version=VERSION, headers=read),
        api("PUT", group, {"location": location}, version=VERSION, headers=read),
        api("PUT", group, {"location": location}, version=VERSION, headers={"If-None-Match": "*"}),
        api("DELETE", group, version=VERSION, headers=read),
    ):
        assert (late.status_code, late.json()["error"]["code"]) == (412, "PreconditionFailed")
    assert api("GET", group, version=VERSION).json()["tags"] == {"a": "b"}
    nothing = api("PUT", f"{group}-no", {"location": location}, version=VERSION, headers=read)
    assert nothing.status_code == 412


def test_existence_is_told_by_the_status(api, group: str) -> None:
    """HEAD answers 204 or 404, without a body."""
    assert api("HEAD", group, version=VERSION).status_code == 204
    assert api("HEAD", group + "-not", version=VERSION).status_code == 404


def test_an_absent_group_is_named_with_its_neighbour(api, group: str) -> None:
    """A typo is answered with the nearest name."""
    name = group.rpartition("/")[2]
    answer = api("GET", group.replace("group-", "gruop-"), version=VERSION)
    assert answer.status_code == 404
    error = answer.json()["error"]
    assert error["code"] == "ResourceGroupNotFound"
    assert "Did you mean 'group-" in error["message"], name


def test_groups_are_listed_page_by_page(api, group: str) -> None:
    """$top bounds a page; nextLink leads through all of them."""
    api("PUT", "/resourceGroups/another", {"location": "eastus"}, version=VERSION)
    names, answer = [], api("GET", "/resourceGroups", version=VERSION, params={"$top": 1})
    while True:
        page = answer.json()
        names += [entry["name"] for entry in page["value"]]
        if "nextLink" not in page:
            break
        assert len(page["value"]) == 1
        answer = api.session.get(page["nextLink"], timeout=30)
    assert {"another", group.rpartition("/")[2]} <= set(names)
    assert len(names) == len(set(names))


def test_filters_are_refused(api) -> None:
    """A filter that would be ignored is refused instead."""
    answer = api("GET", "/resourceGroups", version=VERSION, params={"$filter": "tagName eq 'a'"})
    assert answer.status_code == 400


def test_deleting_is_polled_by_location(api, group: str, scheduler) -> None:
    """202 until it is gone, then 200; everything in it goes too."""
    workspace = f"{group}/providers/Microsoft.BatchAI/workspaces/w"
    api.made(workspace, {"location": "eastus"})
    scheduler.held.set()
    begun = api("DELETE", group, version=VERSION)
    assert (begun.status_code, begun.headers["Retry-After"]) == (202, "1")
    assert "Azure-AsyncOperation" not in begun.headers
    waiting = api.session.get(begun.headers["Location"], timeout=30)
    assert (waiting.status_code, waiting.headers["Location"]) == (202, begun.headers["Location"])
    shown = api("GET", group, version=VERSION).json()
    assert shown["properties"]["provisioningState"] == "Deleting"
    assert api("GET", workspace).json()["properties"]["provisioningState"] == "deleting"
    scheduler.settle()
    assert api.session.get(begun.headers["Location"], timeout=30).status_code == 200
    assert api("HEAD", group, version=VERSION).status_code == 404
    assert api("GET", workspace).json()["error"]["code"] == "ResourceGroupNotFound"


def test_an_absent_group_cannot_be_deleted(api) -> None:
    """Unlike Batch AI, the resources API says 404."""
    answer = api("DELETE", "/resourceGroups/nowhere-at-all", version=VERSION)
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "ResourceGroupNotFound"


@pytest.mark.usefixtures("workspace")
def test_nothing_is_made_in_a_group_that_is_being_deleted(api, group: str, scheduler) -> None:
    """A workspace would be lost with the group."""
    scheduler.held.set()
    api("DELETE", group, version=VERSION)
    path = f"{group}/providers/Microsoft.BatchAI/workspaces/w"
    answer = api("PUT", path, {"location": "eastus"})
    assert answer.status_code == 409
    assert answer.json()["error"]["code"] == "ResourceGroupBeingDeleted"


def test_a_failed_deletion_tells_why(api, plane, group: str, scheduler) -> None:
    """The error that the scheduler wrote is the answer to the poll."""
    scheduler.held.set()
    begun = api("DELETE", group, version=VERSION)
    operation = begun.headers["Location"].rpartition("/")[2].partition("?")[0]
    plane.execute(
        "UPDATE operations SET status = 'Failed', ended_at = '2018-06-06T20:26:28Z', error = ? "
        "WHERE id = ?",
        json.dumps({"code": "Odd", "message": "it failed"}),
        operation,
    )
    answer = api.session.get(begun.headers["Location"], timeout=30)
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "Odd")

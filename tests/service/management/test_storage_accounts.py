"""Storage accounts: what clients that look keys up need of Microsoft.Storage."""

import uuid

import pytest

VERSION = "2017-10-01"
ALL = "/providers/Microsoft.Storage/storageAccounts"
BODY = {"location": "northeurope", "sku": {"name": "Standard_LRS"}, "kind": "Storage"}
OWN = f"/resourceGroups/batchai-service{ALL}"


@pytest.fixture
def name() -> str:
    """A name that no other test's account has."""
    return f"a{uuid.uuid4().hex[:20]}"


def test_an_account_is_made_found_and_deleted(api, plane, group, name) -> None:
    """PUT answers 202; its Location shows the account, and then every other way does too."""
    path = f"{group}{ALL}/{name}"
    begun = api("PUT", path, BODY, version=VERSION)
    assert begun.status_code == 202
    made = api.session.get(begun.headers["Location"], timeout=30).json()
    assert made["name"] == name
    assert made["properties"]["primaryEndpoints"] == {"file": f"{plane.files_base}/{name}/"}
    assert api("GET", path, version=VERSION).json() == made
    assert api("PUT", path, BODY, version=VERSION).json() == made
    assert made in api("GET", ALL, version=VERSION).json()["value"]
    assert api("GET", f"{group}{ALL}", version=VERSION).json()["value"] == [made]
    keys = api("POST", f"{path}/listKeys", version=VERSION).json()["keys"]
    assert [key["keyName"] for key in keys] == ["key1", "key2"]
    assert keys[0]["value"] != keys[1]["value"]
    assert api("DELETE", path, version=VERSION).status_code == 200
    assert api("GET", path, version=VERSION).status_code == 404
    assert api("DELETE", path, version=VERSION).status_code == 204


def test_an_account_goes_with_its_group(api, plane, group, name) -> None:
    """Deleting the group deletes the account, and its name is free again."""
    api("PUT", f"{group}{ALL}/{name}", BODY, version=VERSION)
    asked = {"name": name, "type": "Microsoft.Storage/storageAccounts"}
    check = "/providers/Microsoft.Storage/checkNameAvailability"
    assert api("POST", check, asked, version=VERSION).json()["reason"] == "AlreadyExists"
    assert api("DELETE", group, version="2021-04-01").status_code == 202
    assert api("POST", check, asked, version=VERSION).json() == {"nameAvailable": True}


def test_the_service_s_own_account_is_found_but_not_deleted(api, plane) -> None:
    """It is shown in a group of its own, with the key that everyone uses."""
    path = f"{OWN}/{plane.account}"
    assert api("GET", path, version=VERSION).json()["name"] == plane.account
    assert plane.account in [
        one["name"] for one in api("GET", OWN, version=VERSION).json()["value"]
    ]
    keys = api("POST", f"{path}/listKeys", version=VERSION).json()["keys"]
    assert keys[0]["value"] == plane.account_key
    assert api("DELETE", path, version=VERSION).status_code == 409


@pytest.mark.parametrize("wrong", ["Upper", "ab", "devstoreaccount1"])
def test_a_name_that_no_account_can_have_is_refused(api, group, wrong) -> None:
    """Bad and reserved names answer with an error of Azure's shape."""
    answer = api("PUT", f"{group}{ALL}/{wrong}", BODY, version=VERSION)
    assert answer.status_code in {400, 409}
    assert answer.json()["error"]["target"] == "accountName"


def test_a_name_of_another_account_is_taken(api, plane, group) -> None:
    """Names are one space for all groups."""
    answer = api("PUT", f"{group}{ALL}/{plane.account}", BODY, version=VERSION)
    assert answer.json()["error"]["code"] == "StorageAccountAlreadyTaken"

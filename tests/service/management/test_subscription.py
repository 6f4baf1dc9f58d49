"""What lies around Batch AI in a subscription: itself, its providers, its usages."""

import pytest

VERSION = "2016-06-01"


def test_the_subscription_and_the_tenant_are_listed(api, plane) -> None:
    """A client that has just signed in finds both."""
    answer = api.session.get(
        f"{plane.base}/subscriptions", params={"api-version": VERSION}, timeout=30
    )
    assert [one["subscriptionId"] for one in answer.json()["value"]] == [plane.subscription]
    assert api("GET", "", version=VERSION).json() == answer.json()["value"][0]
    tenants = api.session.get(f"{plane.base}/tenants", params={"api-version": VERSION}, timeout=30)
    assert [one["tenantId"] for one in tenants.json()["value"]] == [plane.tenant]


@pytest.mark.parametrize("name", ["Microsoft.BatchAI", "microsoft.storage"])
def test_a_provider_is_registered(api, name) -> None:
    """Looking and registering both say so, and the list has it."""
    shown = api("GET", f"/providers/{name}", version=VERSION).json()
    assert shown["registrationState"] == "Registered"
    assert api("POST", f"/providers/{name}/register", version=VERSION).json() == shown
    assert shown in api("GET", "/providers", version=VERSION).json()["value"]


def test_an_unknown_provider_is_named_beside_the_nearest(api) -> None:
    """A typo is answered with the name that was meant."""
    answer = api("GET", "/providers/Microsoft.BatchAy", version=VERSION)
    assert answer.status_code == 404
    assert "Did you mean 'Microsoft.BatchAI'?" in answer.json()["error"]["message"]
    refused = api("POST", "/providers/Microsoft.BatchAI/unregister", version=VERSION)
    assert refused.status_code == 409


def test_usages_count_what_is_there(api, cluster) -> None:
    """A cluster of one NC6 node counts as one cluster and six processors."""

    def used(location: str) -> dict:
        path = f"/providers/Microsoft.BatchAI/locations/{location}/usages"
        return {
            one["name"]["value"]: one["currentValue"] for one in api("GET", path).json()["value"]
        }

    before = used("northeurope")
    assert used("nowhere")["Clusters"] == 0
    assert api("DELETE", cluster).status_code == 202
    after = used("northeurope")
    assert before["Clusters"] - after["Clusters"] == 1
    family = "Standard NC Family Cluster Dedicated vCPUs"
    assert before[family] - after[family] == 6


def test_operations_are_listed_outside_of_a_subscription(api, plane) -> None:
    """The provider's operations need a token but no subscription."""
    url = f"{plane.base}/providers/Microsoft.BatchAI/operations"
    answer = api.session.get(url, params={"api-version": "2018-05-01"}, timeout=30)
    names = [one["name"] for one in answer.json()["value"]]
    assert "Microsoft.BatchAI/workspaces/experiments/jobs/write" in names
    assert len(names) == len(set(names))

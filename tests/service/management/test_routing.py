"""Which endpoint a request is for."""

import pytest

from batchai_recipes.service.management.app import ENDPOINTS
from batchai_recipes.service.management.calls import Endpoint
from batchai_recipes.service.management.routing import Routes

ONE = "/subscriptions/{subscriptionId}/providers/{resourceProviderNamespace}"
MANY = "/subscriptions/{subscriptionId}/providers/Microsoft.BatchAI/workspaces"


def _endpoint(path: str) -> Endpoint:
    return Endpoint("GET", path, print)


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda one: f"{one.method} {one.path}")
def test_every_endpoint_is_found_by_its_path(endpoint) -> None:
    """In upper case too, with the values as they were written."""
    names = {name: f"Value{number}" for number, name in enumerate(endpoint.parameters)}
    path = endpoint.path.format_map(names)
    found = Routes(ENDPOINTS).find(path)
    assert found.endpoints[endpoint.method] is endpoint
    assert found.names(endpoint) == names
    assert Routes(ENDPOINTS).find(path.upper()).endpoints[endpoint.method] is endpoint


def test_a_path_that_begins_like_another_is_found() -> None:
    """What is spelt out on the way to another endpoint can be a value as well."""
    one, many = _endpoint(ONE), _endpoint(MANY)
    routes = Routes([one, many])
    assert routes.find(MANY).endpoints["GET"] is many
    found = routes.find("/subscriptions/s/providers/Microsoft.BatchAI")
    assert found.names(one) == {
        "subscriptionId": "s",
        "resourceProviderNamespace": "Microsoft.BatchAI",
    }


@pytest.mark.parametrize("path", ["", "/", "/subscriptions/", "//subscriptions", "/tenants/", "/x"])
def test_other_paths_lead_nowhere(path: str) -> None:
    """An empty segment is no name, and a slash at the end is one segment more."""
    assert Routes(ENDPOINTS).find(path) is None

"""A service for sessions, on the level of HTTP."""

import copy

import pytest

MISSING = (404, {"error": {"code": "ResourceNotFound", "message": "it is not found"}})
READY = {
    "properties": {
        "allocationState": "steady",
        "currentNodeCount": 1,
        "scaleSettings": {"manual": {"targetNodeCount": 1}},
        "nodeStateCounts": {"idleNodeCount": 1},
    }
}


@pytest.fixture
def batchai(endpoint):
    """A service that makes and deletes everything at once."""
    for noun in ("workspaces", "experiments", "clusters", "jobs"):
        endpoint.on("PUT", f"/{noun}/[^/]+", (200, {"properties": {}}))
    endpoint.holds("/workspaces/[^/]+")
    endpoint.holds("/experiments/[^/]+")
    endpoint.on("GET", "/clusters/c", MISSING, READY)
    endpoint.on("DELETE", ".*", 200)
    endpoint.holds("/resourcegroups/[^/]+")
    return endpoint


@pytest.fixture
def ready():
    """A cluster whose node is idle, as the service describes it."""
    return copy.deepcopy(READY)

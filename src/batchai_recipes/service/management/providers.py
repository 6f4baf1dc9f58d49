"""Resource providers: all that the service has are registered, always."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from starlette.responses import Response

from batchai_recipes.service.management.calls import Call, Endpoint
from batchai_recipes.service.management.documents import JSONResponse
from batchai_recipes.service.management.errors import ManagementError, suggestion
from batchai_recipes.service.management.plane import ManagementPlane

_RESOURCE_TYPES: Final[Mapping[str, Mapping[str, str]]] = {
    "Microsoft.BatchAI": dict.fromkeys(
        (
            "workspaces",
            "workspaces/clusters",
            "workspaces/fileservers",
            "workspaces/experiments",
            "workspaces/experiments/jobs",
            "operations",
            "locations",
            "locations/operationresults",
            "locations/operationstatuses",
            "locations/usages",
        ),
        "2018-05-01",
    ),
    "Microsoft.Resources": dict.fromkeys(("subscriptions", "resourceGroups"), "2021-04-01"),
    "Microsoft.Storage": {"storageAccounts": "2023-01-01"},
}
_ALL: Final = "/subscriptions/{subscriptionId}/providers"
_ONE: Final = _ALL + "/{resourceProviderNamespace}"


def list_all(plane: ManagementPlane, _call: Call) -> Response:
    """List the resource providers."""
    return JSONResponse({"value": [_document(plane, name) for name in _RESOURCE_TYPES]})


def get(plane: ManagementPlane, call: Call) -> Response:
    """Show a resource provider with its registration state."""
    return JSONResponse(_document(plane, _named(call)))


def register(plane: ManagementPlane, call: Call) -> Response:
    """Answer as for a provider that is registered, which each one is."""
    return JSONResponse(_document(plane, _named(call)))


def unregister(_plane: ManagementPlane, call: Call) -> Response:
    """Refuse: the service always offers all of its providers."""
    name = _named(call)
    raise ManagementError(
        HTTPStatus.CONFLICT,
        "CannotUnregisterProvider",
        f"The resource provider {name} is part of this service and cannot be unregistered.",
    )


def _named(call: Call) -> str:
    asked = call.names["resourceProviderNamespace"]
    for name in _RESOURCE_TYPES:
        if name.lower() == asked.lower():
            return name
    raise ManagementError(
        HTTPStatus.NOT_FOUND,
        "InvalidResourceNamespace",
        f"The resource namespace '{asked[:100]}' is invalid"
        f"{suggestion(asked, _RESOURCE_TYPES) or '.'}",
    )


def _document(plane: ManagementPlane, name: str) -> dict[str, Any]:
    return {
        "id": f"/subscriptions/{plane.subscription_id}/providers/{name}",
        "namespace": name,
        "registrationState": "Registered",
        "resourceTypes": [
            # No list of regions: the service takes any name of one.
            {"resourceType": kind, "locations": [], "apiVersions": [version]}
            for kind, version in _RESOURCE_TYPES[name].items()
        ],
    }


ROUTES: Final = (
    Endpoint("GET", _ALL, list_all, api="resources", quick=True),
    Endpoint("GET", _ONE, get, api="resources", quick=True),
    Endpoint("POST", _ONE + "/register", register, api="resources", quick=True),
    Endpoint("POST", _ONE + "/unregister", unregister, api="resources"),
)
"""The endpoints of resource providers."""

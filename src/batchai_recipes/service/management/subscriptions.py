"""Subscriptions and tenants: what a client lists after it has signed in."""

from typing import Any, Final

from starlette.responses import Response

from batchai_recipes.service.management.calls import Call, Endpoint
from batchai_recipes.service.management.documents import JSONResponse
from batchai_recipes.service.management.plane import ManagementPlane

_NAME: Final = "Batch AI service"
_SUBSCRIPTION: Final = "/subscriptions/{subscriptionId}"


def list_all(plane: ManagementPlane, _call: Call) -> Response:
    """List the service's only subscription."""
    return JSONResponse({"value": [_document(plane)]})


def get(plane: ManagementPlane, _call: Call) -> Response:
    """Show the subscription; a request for another one has been refused already."""
    return JSONResponse(_document(plane))


def list_locations(_plane: ManagementPlane, _call: Call) -> Response:
    """List the regions: none, since the service takes any name of one and is in none."""
    return JSONResponse({"value": []})


def list_tenants(plane: ManagementPlane, _call: Call) -> Response:
    """List the service's only tenant."""
    tenant = {"id": f"/tenants/{plane.tenant_id}", "tenantId": plane.tenant_id}
    return JSONResponse({"value": [tenant]})


def _document(plane: ManagementPlane) -> dict[str, Any]:
    return {
        "id": f"/subscriptions/{plane.subscription_id}",
        "subscriptionId": plane.subscription_id,
        "tenantId": plane.tenant_id,
        "displayName": _NAME,
        "state": "Enabled",
        "authorizationSource": "RoleBased",
    }


ROUTES: Final = (
    Endpoint("GET", "/tenants", list_tenants, api="resources", quick=True),
    Endpoint("GET", "/subscriptions", list_all, api="resources", quick=True),
    Endpoint("GET", _SUBSCRIPTION, get, api="resources", quick=True),
    Endpoint("GET", _SUBSCRIPTION + "/locations", list_locations, api="resources", quick=True),
)
"""The endpoints of subscriptions and tenants."""

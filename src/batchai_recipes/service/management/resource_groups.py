"""Resource groups: what everything else lies in."""

from http import HTTPStatus
from typing import Any, Final

from starlette.responses import Response

from batchai_recipes.service.management import operations, resources, storage_accounts
from batchai_recipes.service.management.bodies import ENVELOPE, TAGS, read_body, region
from batchai_recipes.service.management.calls import Call, Endpoint
from batchai_recipes.service.management.deletion import delete
from batchai_recipes.service.management.documents import JSONResponse
from batchai_recipes.service.management.errors import ManagementError, invalid_parameter
from batchai_recipes.service.management.kinds import RESOURCE_GROUP
from batchai_recipes.service.management.plane import ManagementPlane
from batchai_recipes.service.management.resource import DELETING, Resource, new_resource
from batchai_recipes.service.management.shapes import Property, Structure, Text

_CREATE: Final = Structure(
    {
        "location": Property(Text(filled=True), required=True),
        "tags": TAGS,
        "managedBy": Property(Text()),
    },
    read_only=ENVELOPE | {"properties"},
)
_UPDATE: Final = Structure(
    {"tags": TAGS}, read_only=ENVELOPE | {"properties", "location", "managedBy"}
)


def create_or_update(plane: ManagementPlane, call: Call) -> Response:
    """Make a group (201), or give one that is there new tags (200)."""
    name = call.names[RESOURCE_GROUP.parameter]
    resources.check_name(RESOURCE_GROUP, name)
    body = read_body(_CREATE, call.document)
    location = region(body)
    with plane.store.write() as records:
        group = resources.find(records, RESOURCE_GROUP.key(call.names))
        if group is None:
            call.preconditions.check(None)
            group_id = RESOURCE_GROUP.child_id(plane.subscription_id, name)
            group = new_resource(
                RESOURCE_GROUP,
                group_id,
                name,
                plane.now(),
                location=location,
                tags=body.get("tags"),
            )
            resources.add(records, group, None)
            return _show(group, HTTPStatus.CREATED)
        group.check_changeable(call.preconditions)
        if location != group.location:
            raise ManagementError(
                HTTPStatus.CONFLICT,
                "InvalidResourceGroupLocation",
                f"Invalid resource group location '{location}'. The resource group '{group.name}' "
                f"already exists in location '{group.location}'.",
                target="location",
            )
        group = group.changed(plane.now(), tags=body.get("tags", {}))
        resources.save(records, group)
    return _show(group)


def update(plane: ManagementPlane, call: Call) -> Response:
    """Replace a group's tags."""
    body = read_body(_UPDATE, call.document)
    with plane.store.write() as records:
        group = resources.require(records, RESOURCE_GROUP, call.names)
        group.check_changeable(call.preconditions)
        group = group.changed(plane.now(), tags=body.get("tags"))
        resources.save(records, group)
    return _show(group)


def get(plane: ManagementPlane, call: Call) -> Response:
    """Show a group."""
    with plane.store.read() as records:
        return _show(resources.require(records, RESOURCE_GROUP, call.names))


def check_existence(plane: ManagementPlane, call: Call) -> Response:
    """Say by the status alone whether a group is there: 204 or 404."""
    with plane.store.read() as records:
        group = resources.find(records, RESOURCE_GROUP.key(call.names))
    return Response(status_code=HTTPStatus.NOT_FOUND if group is None else HTTPStatus.NO_CONTENT)


def list_all(plane: ManagementPlane, call: Call) -> Response:
    """List the groups of the subscription."""
    if call.query.get("$filter"):
        raise invalid_parameter(
            "$filter", "This service cannot filter resource groups. Leave out $filter."
        )
    size = call.page_size("$top")
    with plane.store.read() as records:
        groups = resources.children(records, RESOURCE_GROUP, None, call.skipped_to(), size + 1)
    return call.page(plane, [(group.key, _document(group)) for group in groups], size)


def begin_delete(plane: ManagementPlane, call: Call) -> Response:
    """Begin to delete a group with everything in it."""
    with plane.store.read() as records:
        # Unlike Batch AI, the resources API tells a client that there was nothing to delete.
        group = resources.require(records, RESOURCE_GROUP, call.names)
    accounts = storage_accounts.names_of(plane, group.key)
    answer = delete(
        plane,
        call,
        RESOURCE_GROUP,
        operations.accepted_by_location,
        meanwhile=lambda: storage_accounts.empty(plane, accounts),
    )
    if answer.status_code == HTTPStatus.NO_CONTENT:  # somebody else deleted it in between
        with plane.store.read() as records:
            resources.require(records, RESOURCE_GROUP, call.names)
    return answer


def _document(group: Resource) -> dict[str, Any]:
    state = "Deleting" if group.provisioning_state == DELETING else "Succeeded"
    return group.document({"provisioningState": state})


def _show(group: Resource, status: HTTPStatus = HTTPStatus.OK) -> Response:
    return JSONResponse(_document(group), status_code=status, headers=group.headers)


_GROUP: Final = RESOURCE_GROUP.path

ROUTES: Final = (
    Endpoint("GET", "/subscriptions/{subscriptionId}/resourceGroups", list_all, api="resources"),
    Endpoint("PUT", _GROUP, create_or_update, api="resources"),
    Endpoint("PATCH", _GROUP, update, api="resources"),
    Endpoint("HEAD", _GROUP, check_existence, api="resources", quick=True),
    Endpoint("GET", _GROUP, get, api="resources", quick=True),
    Endpoint("DELETE", _GROUP, begin_delete, api="resources"),
)
"""The endpoints of resource groups."""

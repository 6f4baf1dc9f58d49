"""Workspaces: what clusters and experiments lie in."""

from http import HTTPStatus
from typing import Any, Final

from starlette.responses import Response

from batchai_recipes.service.management import resources
from batchai_recipes.service.management.bodies import ENVELOPE, TAGS, read_body, region
from batchai_recipes.service.management.calls import Call, Endpoint
from batchai_recipes.service.management.deletion import delete
from batchai_recipes.service.management.documents import JSONResponse
from batchai_recipes.service.management.errors import ManagementError
from batchai_recipes.service.management.kinds import RESOURCE_GROUP, WORKSPACE
from batchai_recipes.service.management.plane import ManagementPlane
from batchai_recipes.service.management.resource import Resource, new_resource
from batchai_recipes.service.management.shapes import Property, Structure, Text

_CREATE: Final = Structure(
    {"location": Property(Text(filled=True), required=True), "tags": TAGS},
    read_only=ENVELOPE | {"properties"},
)
_UPDATE: Final = Structure({"tags": TAGS}, read_only=ENVELOPE | {"properties", "location"})


def create(plane: ManagementPlane, call: Call) -> Response:
    """Make a workspace, or show the one that is there; either way with 200."""
    name = call.names[WORKSPACE.parameter]
    resources.check_name(WORKSPACE, name)
    body = read_body(_CREATE, call.document)
    location = region(body)
    with plane.store.write() as records:
        group = resources.require_parent(records, WORKSPACE, call.names)
        workspace = resources.find(records, WORKSPACE.key(call.names))
        if workspace is None:
            call.preconditions.check(None)
            workspace = new_resource(
                WORKSPACE,
                WORKSPACE.child_id(group.id, name),
                name,
                plane.now(),
                location=location,
                tags=body.get("tags"),
            )
            resources.add(records, workspace, group)
        else:
            workspace.check_changeable(call.preconditions)
            _check_location(workspace, location)
            tags = body.get("tags", {})
            if tags != workspace.tags:
                workspace = workspace.changed(plane.now(), tags=tags)
                resources.save(records, workspace)
    plane.tags_changed()
    return _show(workspace)


def update(plane: ManagementPlane, call: Call) -> Response:
    """Replace a workspace's tags."""
    body = read_body(_UPDATE, call.document)
    with plane.store.write() as records:
        workspace = resources.require(records, WORKSPACE, call.names)
        workspace.check_changeable(call.preconditions)
        workspace = workspace.changed(plane.now(), tags=body.get("tags"))
        resources.save(records, workspace)
    plane.tags_changed()
    return _show(workspace)


def get(plane: ManagementPlane, call: Call) -> Response:
    """Show a workspace."""
    with plane.store.read() as records:
        return _show(resources.require(records, WORKSPACE, call.names))


def list_all(plane: ManagementPlane, call: Call) -> Response:
    """List the workspaces of the subscription."""
    return _list(plane, call, None)


def list_by_resource_group(plane: ManagementPlane, call: Call) -> Response:
    """List the workspaces of a resource group."""
    with plane.store.read() as records:
        group = resources.require(records, RESOURCE_GROUP, call.names)
    return _list(plane, call, group.key)


def begin_delete(plane: ManagementPlane, call: Call) -> Response:
    """Begin to delete a workspace with everything in it."""
    return delete(plane, call, WORKSPACE)


def _check_location(workspace: Resource, location: str) -> None:
    if location != workspace.location:
        raise ManagementError(
            HTTPStatus.CONFLICT,
            "InvalidResourceLocation",
            f"The workspace '{workspace.name}' already exists in location "
            f"'{workspace.location}'. A workspace with the same name cannot be created in "
            f"location '{location}': choose another name or location.",
            target="location",
        )


def _list(plane: ManagementPlane, call: Call, group_key: str | None) -> Response:
    size = call.page_size()
    with plane.store.read() as records:
        found = resources.children(records, WORKSPACE, group_key, call.skipped_to(), size + 1)
    return call.page(plane, [(one.key, _document(one)) for one in found], size)


def _document(workspace: Resource) -> dict[str, Any]:
    return workspace.document(workspace.provisioning())


def _show(workspace: Resource) -> Response:
    return JSONResponse(_document(workspace), headers=workspace.headers)


_ALL: Final = "/providers/Microsoft.BatchAI/workspaces"

ROUTES: Final = (
    Endpoint("GET", "/subscriptions/{subscriptionId}" + _ALL, list_all),
    Endpoint("GET", RESOURCE_GROUP.path + _ALL, list_by_resource_group),
    Endpoint("PUT", WORKSPACE.path, create),
    Endpoint("PATCH", WORKSPACE.path, update),
    Endpoint("GET", WORKSPACE.path, get, quick=True),
    Endpoint("DELETE", WORKSPACE.path, begin_delete),
)
"""The endpoints of workspaces."""

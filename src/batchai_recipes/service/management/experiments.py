"""Experiments: what jobs lie in."""

from typing import Any, Final

from starlette.responses import Response

from batchai_recipes.service.management import resources
from batchai_recipes.service.management.calls import Call, Endpoint
from batchai_recipes.service.management.deletion import delete
from batchai_recipes.service.management.documents import JSONResponse
from batchai_recipes.service.management.kinds import EXPERIMENT, WORKSPACE
from batchai_recipes.service.management.plane import ManagementPlane
from batchai_recipes.service.management.resource import Resource, new_resource


def create(plane: ManagementPlane, call: Call) -> Response:
    """Make an experiment, or show the one that is there; its request has no body."""
    name = call.names[EXPERIMENT.parameter]
    resources.check_name(EXPERIMENT, name)
    with plane.store.write() as records:
        workspace = resources.require_parent(records, EXPERIMENT, call.names)
        experiment = resources.find(records, EXPERIMENT.key(call.names))
        if experiment is None:
            call.preconditions.check(None)
            experiment = new_resource(
                EXPERIMENT, EXPERIMENT.child_id(workspace.id, name), name, plane.now()
            )
            resources.add(records, experiment, workspace)
        else:
            experiment.check_changeable(call.preconditions)
    return _show(experiment)


def get(plane: ManagementPlane, call: Call) -> Response:
    """Show an experiment."""
    with plane.store.read() as records:
        return _show(resources.require(records, EXPERIMENT, call.names))


def list_by_workspace(plane: ManagementPlane, call: Call) -> Response:
    """List the experiments of a workspace."""
    size = call.page_size()
    with plane.store.read() as records:
        workspace = resources.require(records, WORKSPACE, call.names)
        found = resources.children(records, EXPERIMENT, workspace.key, call.skipped_to(), size + 1)
    return call.page(plane, [(one.key, _document(one)) for one in found], size)


def begin_delete(plane: ManagementPlane, call: Call) -> Response:
    """Begin to delete an experiment with its jobs."""
    return delete(plane, call, EXPERIMENT)


def _document(experiment: Resource) -> dict[str, Any]:
    return experiment.document(experiment.provisioning())


def _show(experiment: Resource) -> Response:
    return JSONResponse(_document(experiment), headers=experiment.headers)


ROUTES: Final = (
    Endpoint("GET", WORKSPACE.path + "/experiments", list_by_workspace),
    Endpoint("PUT", EXPERIMENT.path, create),
    Endpoint("GET", EXPERIMENT.path, get, quick=True),
    Endpoint("DELETE", EXPERIMENT.path, begin_delete),
)
"""The endpoints of experiments."""

"""The list of Microsoft.BatchAI's operations: what a principal could be allowed to do."""

from typing import Any, Final

from starlette.responses import Response

from batchai_recipes.service.management.calls import Call, Endpoint
from batchai_recipes.service.management.documents import JSONResponse
from batchai_recipes.service.management.plane import ManagementPlane

_PROVIDER: Final = "Microsoft Batch AI"
# Operation, what it does in short, on what, and in a sentence.
_OPERATIONS: Final = (
    (
        "workspaces/read",
        "List or get workspaces",
        "Workspaces",
        "Lists workspaces or shows the properties of one",
    ),
    (
        "workspaces/write",
        "Create or update workspace",
        "Workspaces",
        "Creates a workspace or changes the tags of one",
    ),
    (
        "workspaces/delete",
        "Delete workspace",
        "Workspaces",
        "Deletes a workspace with everything in it",
    ),
    (
        "workspaces/experiments/read",
        "List or get experiments",
        "Experiments",
        "Lists experiments or shows the properties of one",
    ),
    (
        "workspaces/experiments/write",
        "Create experiment",
        "Experiments",
        "Creates an experiment",
    ),
    (
        "workspaces/experiments/delete",
        "Delete experiment",
        "Experiments",
        "Deletes an experiment with its jobs",
    ),
    (
        "workspaces/clusters/read",
        "List or get clusters",
        "Clusters",
        "Lists clusters or shows the properties of one",
    ),
    (
        "workspaces/clusters/write",
        "Create or update cluster",
        "Clusters",
        "Creates a cluster or scales one",
    ),
    ("workspaces/clusters/delete", "Delete cluster", "Clusters", "Deletes a cluster"),
    (
        "workspaces/clusters/remoteLoginInformation/action",
        "List cluster remote-login information",
        "Clusters",
        "Lists how to log in to the nodes of a cluster",
    ),
    (
        "workspaces/fileservers/read",
        "List or get file servers",
        "File servers",
        "Lists file servers or shows the properties of one",
    ),
    (
        "workspaces/fileservers/write",
        "Create file server",
        "File servers",
        "Creates a file server",
    ),
    ("workspaces/fileservers/delete", "Delete file server", "File servers", "Deletes one"),
    (
        "workspaces/experiments/jobs/read",
        "List or get jobs",
        "Jobs",
        "Lists jobs or shows the properties of one",
    ),
    ("workspaces/experiments/jobs/write", "Create job", "Jobs", "Creates a job"),
    (
        "workspaces/experiments/jobs/delete",
        "Delete job",
        "Jobs",
        "Deletes a job, ending it first where it runs",
    ),
    ("workspaces/experiments/jobs/terminate/action", "Terminate job", "Jobs", "Ends a job"),
    (
        "workspaces/experiments/jobs/remoteLoginInformation/action",
        "List job remote-login information",
        "Jobs",
        "Lists how to log in to the nodes that run a job",
    ),
    (
        "workspaces/experiments/jobs/listoutputfiles/action",
        "List job output files",
        "Jobs",
        "Lists the files of an output directory of a job",
    ),
    (
        "locations/usages/read",
        "Get usages",
        "Usages",
        "Shows how much of Batch AI a subscription uses in a region",
    ),
    (
        "register/action",
        "Register the resource provider",
        "Resource provider",
        "Registers the subscription for the provider",
    ),
    (
        "locations/operationresults/read",
        "Get operation result",
        "Operation results",
        "Shows how a long-running operation stands",
    ),
    (
        "locations/operationstatuses/read",
        "Get operation status",
        "Operation statuses",
        "Shows how a long-running operation stands",
    ),
)


def list_all(_plane: ManagementPlane, _call: Call) -> Response:
    """List the operations of the resource provider."""
    return JSONResponse({"value": [_document(*operation) for operation in _OPERATIONS]})


def _document(name: str, operation: str, resource: str, description: str) -> dict[str, Any]:
    return {
        "name": f"Microsoft.BatchAI/{name}",
        "display": {
            "provider": _PROVIDER,
            "resource": resource,
            "operation": operation,
            "description": description,
        },
        "origin": "user,system",
        "properties": {},
    }


ROUTES: Final = (Endpoint("GET", "/providers/Microsoft.BatchAI/operations", list_all, quick=True),)
"""The endpoint of the provider's operations."""

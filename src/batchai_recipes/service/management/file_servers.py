"""File servers: a directory of this machine stands for the data disks of each.

The service has no virtual machines to export disks from, so a file server shows no addresses;
``mountSettings.mountPoint`` is its directory, which clusters and jobs mount by link.
"""

from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from starlette.responses import Response

from batchai_recipes.service.file_server_disks import FileServerDisks
from batchai_recipes.service.management import operations, resources
from batchai_recipes.service.management.bodies import ENVELOPE, read_body
from batchai_recipes.service.management.calls import Call, Endpoint
from batchai_recipes.service.management.deletion import delete
from batchai_recipes.service.management.documents import JSONResponse
from batchai_recipes.service.management.errors import ManagementError
from batchai_recipes.service.management.kinds import FILE_SERVER, WORKSPACE
from batchai_recipes.service.management.plane import ManagementPlane
from batchai_recipes.service.management.resource import Resource, new_resource
from batchai_recipes.service.management.shapes import (
    Choice,
    Items,
    Property,
    Structure,
    Text,
    Whole,
)
from batchai_recipes.service.management.user_account import USER_ACCOUNT_SETTINGS

_MAXIMUM_DISKS: Final = 64
_MAXIMUM_DISK_GIB: Final = 32_767

_PROPERTIES: Final = Structure(
    {
        "vmSize": Property(Text(filled=True), required=True),
        "sshConfiguration": Property(
            Structure(
                {
                    "publicIPsToAllow": Property(Items(Text(filled=True))),
                    "userAccountSettings": USER_ACCOUNT_SETTINGS,
                }
            ),
            required=True,
        ),
        "dataDisks": Property(
            Structure(
                {
                    "diskSizeInGB": Property(Whole(1, _MAXIMUM_DISK_GIB), required=True),
                    "cachingType": Property(
                        Choice(("none", "readonly", "readwrite")), default="none"
                    ),
                    "diskCount": Property(Whole(1, _MAXIMUM_DISKS), required=True),
                    "storageAccountType": Property(
                        Choice(("Standard_LRS", "Premium_LRS")), required=True
                    ),
                }
            ),
            required=True,
        ),
        "subnet": Property(Structure({"id": Property(Text(filled=True), required=True)})),
    },
    read_only=frozenset(
        {
            "mountSettings",
            "creationTime",
            "provisioningState",
            "provisioningStateTransitionTime",
        }
    ),
)
_CREATE: Final = Structure({"properties": Property(_PROPERTIES, required=True)}, read_only=ENVELOPE)


def begin_create(plane: ManagementPlane, call: Call) -> Response:
    """Begin to make a file server (202); show the one that is there if it is the same (200)."""
    name = call.names[FILE_SERVER.parameter]
    resources.check_name(FILE_SERVER, name)
    requested = read_body(_CREATE, call.document)["properties"]
    shown = _PROPERTIES.public(requested)
    password = requested["sshConfiguration"]["userAccountSettings"].get("adminUserPassword")
    hidden = {} if password is None else {"adminUserPassword": password}
    with plane.store.write() as records:
        workspace = resources.require_parent(records, FILE_SERVER, call.names)
        existing = resources.find(records, FILE_SERVER.key(call.names))
        if existing is not None:
            existing.check_changeable(call.preconditions)
            secrets = resources.secrets_of(records, existing.key)
            if shown != existing.properties or hidden != secrets:
                raise ManagementError(
                    HTTPStatus.CONFLICT,
                    "FileServerAlreadyExists",
                    f"The file server {existing.name} already exists with other properties. "
                    "Choose another name, or delete it first.",
                )
            return _show(plane, existing)
        call.preconditions.check(None)
        server_id = FILE_SERVER.child_id(workspace.id, name)
        server = new_resource(FILE_SERVER, server_id, name, plane.now(), properties=shown)
        resources.add(records, server, workspace, hidden)
        operation = operations.done(records, plane, server, "create")
    # Its user may want to put something there before anything mounts it.
    _disk(plane, server).mkdir(mode=0o700, parents=True, exist_ok=True)
    plane.wake()
    return operations.accepted(plane, call, operation)


def get(plane: ManagementPlane, call: Call) -> Response:
    """Show a file server."""
    with plane.store.read() as records:
        return _show(plane, resources.require(records, FILE_SERVER, call.names))


def list_by_workspace(plane: ManagementPlane, call: Call) -> Response:
    """List the file servers of a workspace."""
    size = call.page_size()
    with plane.store.read() as records:
        workspace = resources.require(records, WORKSPACE, call.names)
        found = resources.children(records, FILE_SERVER, workspace.key, call.skipped_to(), size + 1)
    return call.page(plane, [(one.key, _document(plane, one)) for one in found], size)


def begin_delete(plane: ManagementPlane, call: Call) -> Response:
    """Begin to delete a file server, with what is on its disk."""
    disks = FileServerDisks(plane.store, plane.state)
    return delete(plane, call, FILE_SERVER, meanwhile=disks.remove_orphans)


def _document(plane: ManagementPlane, server: Resource) -> dict[str, Any]:
    settings = {"mountSettings": {"mountPoint": str(_disk(plane, server))}}
    return server.document({**server.provisioning(), **server.properties, **settings})


def _disk(plane: ManagementPlane, server: Resource) -> Path:
    return plane.state.file_server(server.key, server.created_at)


def _show(plane: ManagementPlane, server: Resource) -> Response:
    return JSONResponse(_document(plane, server), headers=server.headers)


ROUTES: Final = (
    Endpoint("GET", WORKSPACE.path + "/fileServers", list_by_workspace),
    Endpoint("PUT", FILE_SERVER.path, begin_create),
    Endpoint("GET", FILE_SERVER.path, get, quick=True),
    Endpoint("DELETE", FILE_SERVER.path, begin_delete),
)
"""The endpoints of file servers."""

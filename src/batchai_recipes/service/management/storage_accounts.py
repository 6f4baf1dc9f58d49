"""Storage accounts of Microsoft.Storage: enough for clients that make one or look up its keys.

The account that the service made for itself lies in no resource group. It is shown in the group
:data:`OWN_GROUP`, where clients that need a group's name find it.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import suppress
from http import HTTPStatus
from typing import Any, Final

from attrs import frozen
from starlette.responses import Response

from batchai_recipes.service.files.accounts import RESERVED_NAME, Account, Accounts, new_key
from batchai_recipes.service.files.errors import ShareNotFoundError
from batchai_recipes.service.files.shares import Shares
from batchai_recipes.service.management import operations, resources
from batchai_recipes.service.management.bodies import ENVELOPE, TAGS, read_body, region
from batchai_recipes.service.management.calls import Call, Endpoint
from batchai_recipes.service.management.documents import JSONResponse
from batchai_recipes.service.management.errors import ManagementError
from batchai_recipes.service.management.kinds import RESOURCE_GROUP, STORAGE_ACCOUNT
from batchai_recipes.service.management.plane import ManagementPlane
from batchai_recipes.service.management.resource import Resource, new_resource
from batchai_recipes.service.management.shapes import Property, Structure, Text

OWN_GROUP: Final = "batchai-service"
"""The resource group in which the service's own account is shown."""

_OWN_LOCATION: Final = "local"
_CREATE: Final = Structure(
    {
        "location": Property(Text(filled=True), required=True),
        "sku": Property(
            Structure({"name": Property(Text(filled=True), required=True)}, frozenset({"tier"})),
            default={"name": "Standard_LRS"},
        ),
        "kind": Property(Text(filled=True), default="Storage"),
        "tags": TAGS,
    },
    # What else can be asked of an account changes nothing here: its files are plain directories.
    read_only=ENVELOPE | {"properties", "identity", "extendedLocation", "zones", "placement"},
)
_CHECK_NAME: Final = Structure({"name": Property(Text(), required=True)}, frozenset({"type"}))


@frozen
class _Shown:
    """An account as answers show it, with the resource that it is, unless it is the service's."""

    account: Account
    resource: Resource | None

    def id(self, plane: ManagementPlane) -> str:
        if self.resource is not None:
            return self.resource.id
        names = {
            "subscriptionId": plane.subscription_id,
            "resourceGroupName": OWN_GROUP,
            "accountName": self.account.name,
        }
        return STORAGE_ACCOUNT.path.format_map(names)

    def document(self, plane: ManagementPlane) -> dict[str, Any]:
        resource = self.resource
        declared: Mapping[str, Any] = resource.properties if resource is not None else {}
        location = resource.location if resource is not None else _OWN_LOCATION
        sku = declared.get("sku", {"name": "Standard_LRS"})["name"]
        properties = {
            "provisioningState": "Succeeded",
            "supportsHttpsTrafficOnly": False,
            "primaryEndpoints": {"file": f"{plane.addresses().files_base}/{self.account.name}/"},
            "primaryLocation": location,
            "statusOfPrimary": "available",
        }
        if resource is not None:
            properties["creationTime"] = resource.created_at
        return {
            "sku": {"name": sku, "tier": sku.partition("_")[0]},
            "kind": declared.get("kind", "Storage"),
            "id": self.id(plane),
            "name": self.account.name,
            "type": STORAGE_ACCOUNT.arm_type,
            "location": location,
            "tags": dict(resource.tags) if resource is not None else {},
            "properties": properties,
        }


def begin_create(plane: ManagementPlane, call: Call) -> Response:
    """Make an account (202); show the one that is there (200)."""
    name = call.names[STORAGE_ACCOUNT.parameter]
    resources.check_name(STORAGE_ACCOUNT, name)
    body = read_body(_CREATE, call.document)
    location = region(body)
    with plane.store.write() as records:
        group = resources.require_parent(records, STORAGE_ACCOUNT, call.names)
        existing = resources.find(records, STORAGE_ACCOUNT.key(call.names))
        if existing is not None:
            existing.check_not_deleting()
            existing = existing.changed(plane.now(), tags=body.get("tags", {}))
            resources.save(records, existing)
            account = _account(records, existing.name)
            return JSONResponse(_Shown(account, existing).document(plane))
        if not _is_free(records, name):
            raise ManagementError(
                HTTPStatus.CONFLICT,
                "StorageAccountAlreadyTaken",
                f"The storage account named {name} is already taken. Choose another name.",
                target=STORAGE_ACCOUNT.parameter,
            )
        resource = new_resource(
            STORAGE_ACCOUNT,
            STORAGE_ACCOUNT.child_id(group.id, name),
            name,
            plane.now(),
            location=location,
            tags=body.get("tags"),
            properties={"sku": body["sku"], "kind": body["kind"]},
        )
        resources.add(records, resource, group)
        records.execute(
            "INSERT INTO accounts (name, key1, key2) VALUES (?, ?, ?)", (name, new_key(), new_key())
        )
        operation = operations.done(records, plane, resource, "create")
    base = plane.base + _LOCATION.format(subscriptionId=plane.subscription_id, location=location)
    query = f"monitor=true&api-version={call.query['api-version']}"
    return Response(
        status_code=HTTPStatus.ACCEPTED,
        headers={"Location": f"{base}/asyncoperations/{operation.id}?{query}", "Retry-After": "1"},
    )


def get(plane: ManagementPlane, call: Call) -> Response:
    """Show an account."""
    return JSONResponse(_require(plane, call).document(plane))


def list_all(plane: ManagementPlane, _call: Call) -> Response:
    """List the accounts of the subscription, the service's own one among them."""
    return _list(plane, None)


def list_by_resource_group(plane: ManagementPlane, call: Call) -> Response:
    """List the accounts of a resource group."""
    if not _is_own_group(call):
        with plane.store.read() as records:
            resources.require(records, RESOURCE_GROUP, call.names)
    return _list(plane, RESOURCE_GROUP.key(call.names))


def list_keys(plane: ManagementPlane, call: Call) -> Response:
    """List the keys of an account: the one answer that shows secrets, which is its purpose."""
    keys = _require(plane, call).account.keys
    return JSONResponse(
        {
            "keys": [
                {"keyName": f"key{number}", "value": key, "permissions": "FULL"}
                for number, key in enumerate(keys, start=1)
            ]
        },
        headers={"Cache-Control": "no-store"},
    )


def delete(plane: ManagementPlane, call: Call) -> Response:
    """Delete an account with its shares (200); one that is gone is deleted well enough (204)."""
    key = STORAGE_ACCOUNT.key(call.names)
    with plane.store.read() as records:
        resource = resources.find(records, key)
    if resource is None:
        if _is_own_group(call) and _own(plane, call.names[STORAGE_ACCOUNT.parameter]):
            raise ManagementError(
                HTTPStatus.CONFLICT,
                "StorageAccountInUse",
                "The storage account is the service's own and cannot be deleted.",
            )
        return Response(status_code=HTTPStatus.NO_CONTENT)
    _empty(plane, resource.name)
    with plane.store.write() as records:
        # The account itself goes with its resource; see the schema.
        records.execute("DELETE FROM resources WHERE key = ?", (key,))
    Shares(plane.store, plane.state, plane.clock).discard_account(resource.name)
    return Response(status_code=HTTPStatus.OK)


def check_name_availability(plane: ManagementPlane, call: Call) -> Response:
    """Say whether an account could be made with a name."""
    name = read_body(_CHECK_NAME, call.document)["name"]
    if STORAGE_ACCOUNT.name_pattern.fullmatch(name) is None:
        answer = {
            "nameAvailable": False,
            "reason": "AccountNameInvalid",
            "message": f"A storage account's name must be {STORAGE_ACCOUNT.name_rule}.",
        }
        return JSONResponse(answer)
    with plane.store.read() as records:
        free = _is_free(records, name)
    if free:
        return JSONResponse({"nameAvailable": True})
    message = f"The storage account named {name} is already taken."
    return JSONResponse({"nameAvailable": False, "reason": "AlreadyExists", "message": message})


def poll(plane: ManagementPlane, call: Call) -> Response:
    """Show the account that an operation made."""
    with plane.store.read() as records:
        row = records.execute(
            "SELECT resource_key FROM operations WHERE id = ?", (call.names["operationId"].lower(),)
        ).fetchone()
        resource = resources.find(records, row["resource_key"]) if row is not None else None
        if resource is None or resource.kind is not STORAGE_ACCOUNT:
            raise ManagementError(
                HTTPStatus.NOT_FOUND,
                "OperationNotFound",
                "The operation is not found. Use the address of the answer that began it.",
            )
        account = _account(records, resource.name)
    return JSONResponse(_Shown(account, resource).document(plane))


def names_of(plane: ManagementPlane, group_key: str) -> Sequence[str]:
    """Return the names of all accounts of a group.

    Args:
        plane: The parts of the service.
        group_key: The group's record key.
    """
    return [shown.account.name for shown in _all(plane, group_key)]


def empty(plane: ManagementPlane, accounts: Sequence[str]) -> None:
    """Delete the shares of accounts of a group that is being deleted.

    Args:
        plane: The parts of the service.
        accounts: The names of the accounts.
    """
    for account in accounts:
        _empty(plane, account)
        # The scheduler may have been quicker with the account than this with its shares.
        Shares(plane.store, plane.state, plane.clock).discard_account(account)


def _empty(plane: ManagementPlane, account: str) -> None:
    shares = Shares(plane.store, plane.state, plane.clock)
    with plane.store.read() as records:
        rows = records.execute("SELECT name FROM shares WHERE account = ?", (account,)).fetchall()
    for row in rows:
        # The scheduler may be quicker, where the account's group is being deleted.
        with suppress(ShareNotFoundError):
            shares.delete(account, row["name"])


def _list(plane: ManagementPlane, group_key: str | None) -> Response:
    return JSONResponse({"value": [shown.document(plane) for shown in _all(plane, group_key)]})


def _all(plane: ManagementPlane, group_key: str | None) -> list[_Shown]:
    """Return the accounts of a group, or all, in the order of their names."""
    with plane.store.read() as records:
        rows = records.execute("SELECT name, key1, key2 FROM accounts ORDER BY name").fetchall()
        made = {
            row["name"]: resources.find(records, row["key"])
            for row in records.execute(
                "SELECT name, key FROM resources WHERE kind = ?", (STORAGE_ACCOUNT.name,)
            ).fetchall()
        }
    found = [_Shown(Account(*row), made.get(row["name"])) for row in rows]
    if group_key is None:
        return found
    own_group = RESOURCE_GROUP.child_id(plane.subscription_id, OWN_GROUP).lower()
    within = f"{group_key}/"
    return [
        shown
        for shown in found
        if (shown.resource.key.startswith(within) if shown.resource else group_key == own_group)
    ]


def _require(plane: ManagementPlane, call: Call) -> _Shown:
    name = call.names[STORAGE_ACCOUNT.parameter]
    own = _own(plane, name) if _is_own_group(call) else None
    if own is not None:
        return _Shown(own, None)
    with plane.store.read() as records:
        resource = resources.require(records, STORAGE_ACCOUNT, call.names)
        return _Shown(_account(records, resource.name), resource)


def _is_own_group(call: Call) -> bool:
    return call.names[RESOURCE_GROUP.parameter].lower() == OWN_GROUP


def _own(plane: ManagementPlane, name: str) -> Account | None:
    """Return an account that the service made for itself."""
    with plane.store.read() as records:
        made = records.execute(
            "SELECT 1 FROM resources WHERE kind = ? AND name = ?", (STORAGE_ACCOUNT.name, name)
        ).fetchone()
    return None if made is not None else Accounts(plane.store).get(name.lower())


def _account(records: sqlite3.Connection, name: str) -> Account:
    row = records.execute(
        "SELECT name, key1, key2 FROM accounts WHERE name = ?", (name,)
    ).fetchone()
    return Account(*row)


def _is_free(records: sqlite3.Connection, name: str) -> bool:
    row = records.execute("SELECT 1 FROM accounts WHERE name = ?", (name,)).fetchone()
    return row is None and name != RESERVED_NAME


_PROVIDER: Final = "/subscriptions/{subscriptionId}/providers/Microsoft.Storage"
_LOCATION: Final = _PROVIDER + "/locations/{location}"
_OPERATION: Final = _LOCATION + "/asyncoperations/{operationId}"
_IN_GROUP: Final = RESOURCE_GROUP.path + "/providers/Microsoft.Storage/storageAccounts"
_ONE: Final = STORAGE_ACCOUNT.path

ROUTES: Final = (
    Endpoint("GET", _PROVIDER + "/storageAccounts", list_all, api="resources"),
    Endpoint("POST", _PROVIDER + "/checkNameAvailability", check_name_availability, "resources"),
    Endpoint(
        "GET", _LOCATION + "/asyncoperations/{operationId}", poll, api="resources", quick=True
    ),
    Endpoint("GET", _IN_GROUP, list_by_resource_group, api="resources"),
    Endpoint("PUT", _ONE, begin_create, api="resources"),
    Endpoint("GET", _ONE, get, api="resources", quick=True),
    Endpoint("DELETE", _ONE, delete, api="resources"),
    Endpoint("POST", _ONE + "/listKeys", list_keys, api="resources", quick=True),
)
"""The endpoints of storage accounts."""

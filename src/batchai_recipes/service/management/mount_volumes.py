"""Volumes in requests: what clusters and jobs mount, and the keys that come with them."""

import re
import sqlite3
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from pathlib import PurePosixPath
from typing import Any, Final

from batchai_recipes.service.files.addressing import share_of_url
from batchai_recipes.service.management.environment import NO_KEY_VAULT
from batchai_recipes.service.management.errors import ManagementError, suggestion
from batchai_recipes.service.management.shapes import Items, Property, Structure, Text, refuse
from batchai_recipes.service.mount_command import bound_directory
from batchai_recipes.service.mount_options import parse_mount_options

_ACCOUNT: Final = Text(
    re.compile(r"[a-z0-9]{3,24}"), "3 to 24 lower-case letters and digits, as storage accounts are"
)
_CONTAINER: Final = Text(
    re.compile(r"\$root|(?=.{3,63}\Z)[a-z0-9](?:-?[a-z0-9])*"),
    "3 to 63 lower-case letters, digits and single hyphens, as containers are",
)
_MODE: Final = Text(re.compile(r"[0-7]{3,4}"), "an octal file mode as '0777'")
_KINDS: Final = ("azureFileShares", "azureBlobFileSystems", "fileServers", "unmanagedFileSystems")
_CREDENTIALS: Final = Structure(
    {
        "accountKeySecretReference": Property(NO_KEY_VAULT),
        "accountKey": Property(Text(filled=True), required=True, secret=True),
    }
)
_PATH: Final = Property(Text(filled=True), required=True)


def _check_share(share: dict[str, Any], at: str) -> None:
    try:
        account, _ = share_of_url(share["azureFileUrl"])
    except ValueError as error:
        refuse(f"{at}.azureFileUrl", f"{error}.")
    if account != share["accountName"]:
        refuse(
            f"{at}.azureFileUrl",
            f"it is of the account '{account}', but accountName is '{share['accountName']}'.",
        )
    _check_path(share, at)


def _check_container(container: dict[str, Any], at: str) -> None:
    _check_options(container, at)
    _check_path(container, at)


def _check_file_server(server: dict[str, Any], at: str) -> None:
    directory = server.get("sourceDirectory", "")
    if ".." in directory.split("/"):
        refuse(f"{at}.sourceDirectory", "it must not contain '..'.")
    _check_options(server, at)
    _check_path(server, at)


def _check_unmanaged(system: dict[str, Any], at: str) -> None:
    try:
        bound_directory(system["mountCommand"])
    except ValueError as error:
        refuse(f"{at}.mountCommand", f"{error}.", code="NotSupported")
    _check_path(system, at)


def _check_options(volume: Mapping[str, Any], at: str) -> None:
    try:
        parse_mount_options(volume.get("mountOptions", ""))
    except ValueError as error:
        refuse(f"{at}.mountOptions", f"it cannot be read: {error}.")


def _check_path(volume: dict[str, Any], at: str) -> None:
    place = f"{at}.relativeMountPath"
    volume["relativeMountPath"] = mount_point(volume["relativeMountPath"], place)


def mount_point(path: str, at: str) -> str:
    """Return a relative mount path in its normal form, without closing or doubled slashes.

    Args:
        path: The path as it was given.
        at: Its path in the document.

    Raises:
        ShapeError: It is absolute, empty, or leads out of the mount root.
    """
    parts = PurePosixPath(path.strip("/")).parts
    if not parts or ".." in parts or "$" in path:
        refuse(at, "it must be a relative path without '..' and without variables, as 'afs'.")
    return "/".join(parts)


def _volumes(volumes: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Return every volume with its path below the volumes."""
    for kind in _KINDS:
        for index, volume in enumerate(volumes.get(kind, ())):
            yield f"{kind}[{index}]", volume


def _check_mount_points(volumes: dict[str, Any], at: str) -> None:
    points: list[str] = []
    for place, volume in _volumes(volumes):
        point = volume["relativeMountPath"]
        for other in points:
            if f"{point}/".startswith(f"{other}/") or f"{other}/".startswith(f"{point}/"):
                refuse(
                    f"{at}.{place}.relativeMountPath",
                    f"'{point}' is, or lies in, the mount point '{other}' of another volume.",
                )
        points.append(point)


_FILE_SHARE: Final = Structure(
    {
        "accountName": Property(_ACCOUNT, required=True),
        "azureFileUrl": Property(Text(filled=True), required=True),
        "credentials": Property(_CREDENTIALS, required=True),
        "relativeMountPath": _PATH,
        "fileMode": Property(_MODE, default="0777"),
        "directoryMode": Property(_MODE, default="0777"),
    },
    check=_check_share,
)
_BLOB_CONTAINER: Final = Structure(
    {
        "accountName": Property(_ACCOUNT, required=True),
        "containerName": Property(_CONTAINER, required=True),
        "credentials": Property(_CREDENTIALS, required=True),
        "relativeMountPath": _PATH,
        "mountOptions": Property(Text()),
    },
    check=_check_container,
)
_FILE_SERVER: Final = Structure(
    {
        "fileServer": Property(
            Structure({"id": Property(Text(filled=True), required=True)}), required=True
        ),
        "sourceDirectory": Property(Text()),
        "relativeMountPath": _PATH,
        "mountOptions": Property(Text()),
    },
    check=_check_file_server,
)
_UNMANAGED: Final = Structure(
    {"mountCommand": Property(Text(filled=True), required=True), "relativeMountPath": _PATH},
    check=_check_unmanaged,
)

MOUNT_VOLUMES: Final = Structure(
    {
        "azureFileShares": Property(Items(_FILE_SHARE)),
        "azureBlobFileSystems": Property(Items(_BLOB_CONTAINER)),
        "fileServers": Property(Items(_FILE_SERVER)),
        "unmanagedFileSystems": Property(Items(_UNMANAGED)),
    },
    check=_check_mount_points,
)
"""The volumes of a cluster or a job."""


def account_keys(volumes: Mapping[str, Any]) -> dict[str, str]:
    """Return the storage keys by relative mount path.

    Args:
        volumes: Volumes in normal form, secrets included.
    """
    return {
        volume["relativeMountPath"]: volume["credentials"]["accountKey"]
        for _, volume in _volumes(volumes)
        if "credentials" in volume
    }


def check_file_servers(records: sqlite3.Connection, volumes: Mapping[str, Any], at: str) -> None:
    """Refuse volumes of file servers that are not there.

    Args:
        records: The records.
        volumes: Volumes in normal form.
        at: Their path in the document.

    Raises:
        ManagementError: There is no such file server, or it is being deleted (400).
    """
    for index, volume in enumerate(volumes.get("fileServers", ())):
        server = volume["fileServer"]["id"]
        rows = records.execute(
            "SELECT id, key FROM resources WHERE kind = 'fileServer' "
            "AND provisioning_state != 'deleting'"
        ).fetchall()
        if server.rstrip("/").lower() not in {row["key"] for row in rows}:
            nearest = suggestion(server, [row["id"] for row in rows])
            raise ManagementError(
                HTTPStatus.BAD_REQUEST,
                "FileServerNotFound",
                f"The specified file server {server[:500]} is not found{nearest}",
                target=f"{at}.fileServers[{index}].fileServer.id",
            )

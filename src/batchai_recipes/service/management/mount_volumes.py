"""Volumes in requests: what clusters and jobs mount, and the keys that come with them."""

import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any, Final

from batchai_recipes.service.files.addressing import share_of_url
from batchai_recipes.service.management.environment import NO_KEY_VAULT
from batchai_recipes.service.management.shapes import (
    Items,
    Property,
    Structure,
    Text,
    Unsupported,
    refuse,
)

_ACCOUNT: Final = Text(
    re.compile(r"[a-z0-9]{3,24}"), "3 to 24 lower-case letters and digits, as storage accounts are"
)
_MODE: Final = Text(re.compile(r"[0-7]{3,4}"), "an octal file mode as '0777'")
_INSTEAD: Final = "Mount an Azure file share (azureFileShares) instead."


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
    share["relativeMountPath"] = mount_point(share["relativeMountPath"], f"{at}.relativeMountPath")


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


def _check_mount_points(volumes: dict[str, Any], at: str) -> None:
    points: list[str] = []
    for index, share in enumerate(volumes.get("azureFileShares", ())):
        point = share["relativeMountPath"]
        for other in points:
            if f"{point}/".startswith(f"{other}/") or f"{other}/".startswith(f"{point}/"):
                refuse(
                    f"{at}.azureFileShares[{index}].relativeMountPath",
                    f"'{point}' is, or lies in, the mount point '{other}' of another volume.",
                )
        points.append(point)


MOUNT_VOLUMES: Final = Structure(
    {
        "azureFileShares": Property(
            Items(
                Structure(
                    {
                        "accountName": Property(_ACCOUNT, required=True),
                        "azureFileUrl": Property(Text(filled=True), required=True),
                        "credentials": Property(
                            Structure(
                                {
                                    "accountKeySecretReference": Property(NO_KEY_VAULT),
                                    "accountKey": Property(
                                        Text(filled=True), required=True, secret=True
                                    ),
                                }
                            ),
                            required=True,
                        ),
                        "relativeMountPath": Property(Text(filled=True), required=True),
                        "fileMode": Property(_MODE, default="0777"),
                        "directoryMode": Property(_MODE, default="0777"),
                    },
                    check=_check_share,
                )
            )
        ),
        "azureBlobFileSystems": Property(
            Unsupported(f"this service has no blob containers to mount. {_INSTEAD}")
        ),
        "fileServers": Property(
            Unsupported(f"this service has no file servers to mount yet. {_INSTEAD}")
        ),
        "unmanagedFileSystems": Property(
            Unsupported(f"this service runs no mount commands. {_INSTEAD}")
        ),
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
        share["relativeMountPath"]: share["credentials"]["accountKey"]
        for share in volumes.get("azureFileShares", ())
    }

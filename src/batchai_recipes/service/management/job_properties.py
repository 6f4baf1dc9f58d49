"""The properties of a job: what a request may say, and what the service adds."""

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from attrs import frozen

from batchai_recipes.service.duration import parse_duration
from batchai_recipes.service.management.bodies import ENVELOPE
from batchai_recipes.service.management.environment import (
    NO_KEY_VAULT,
    SECRETS,
    VARIABLES,
    check_disjoint,
    values,
)
from batchai_recipes.service.management.mount_volumes import MOUNT_VOLUMES, account_keys
from batchai_recipes.service.management.shapes import (
    Choice,
    Items,
    Property,
    Structure,
    Text,
    Whole,
    refuse,
)
from batchai_recipes.service.management.toolkit_settings import (
    TOOLKITS,
    check_one_toolkit,
    tool_type,
)

STDOUTERR: Final = "stdouterr"
"""The id, and the directory, of standard output and standard error."""

PRIORITIES: Final[Mapping[str, int]] = {"low": -1, "normal": 0, "high": 1}
"""The scheduling priorities and their ranks."""

_MAXIMUM_NODES: Final = 1000
_DIRECTORY_ID: Final = Text(re.compile(r"[A-Za-z0-9_]{1,64}"), "1 to 64 letters, digits or '_'")
# The form of .NET, which the contract's default is written in: [days.]hours:minutes:seconds.
_DOTNET_SPAN: Final = re.compile(
    r"(?:(\d{1,5})\.)?(\d{1,2}):(\d{1,2}):(\d{1,2})(?:\.\d{1,7})?", re.ASCII
)


@frozen
class _Directory:
    """A path on a node, which may begin with a variable and never leads upwards."""

    relative: bool = False

    def read(self, value: Any, at: str) -> str:
        path = Text(filled=not self.relative).read(value, at)
        if ".." in path.split("/"):
            refuse(at, "it must not contain '..'.")
        if self.relative and path.startswith("/"):
            refuse(at, "it must be a relative path.")
        return path

    def public(self, value: Any) -> Any:
        return value


@frozen
class _Duration:
    """A time span in ISO 8601 or in .NET's form; its normal form is ISO 8601."""

    def read(self, value: Any, at: str) -> str:
        text = Text(filled=True).read(value, at)
        match = _DOTNET_SPAN.fullmatch(text)
        if match is not None:
            days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
            text = f"P{days}DT{hours}H{minutes}M{seconds}S"
        try:
            span = parse_duration(text)
        except ValueError as error:
            refuse(at, f"{error}.")
        if span <= timedelta(0):
            refuse(at, "it must be longer than nothing.")
        return text

    def public(self, value: Any) -> Any:
        return value


def _check_output_id(directory: dict[str, Any], at: str) -> None:
    if directory["id"].lower() == STDOUTERR:
        refuse(f"{at}.id", f"'{STDOUTERR}' is the standard output's own id. Choose another.")


def _check(properties: dict[str, Any], at: str) -> None:
    check_one_toolkit(properties, at)
    check_disjoint(properties, at)


_PRIVATE_REGISTRY: Final = Structure(
    {
        "username": Property(Text(filled=True), required=True),
        "passwordSecretReference": Property(NO_KEY_VAULT),
        "password": Property(Text(), required=True, secret=True),
    }
)
_CONTAINER: Final = Structure(
    {
        "imageSourceRegistry": Property(
            Structure(
                {
                    "serverUrl": Property(Text(filled=True)),
                    "image": Property(Text(filled=True), required=True),
                    "credentials": Property(_PRIVATE_REGISTRY),
                }
            ),
            required=True,
        ),
        "shmSize": Property(Text(filled=True)),
    }
)
_INPUTS: Final = Items(
    Structure(
        {
            "id": Property(_DIRECTORY_ID, required=True),
            "path": Property(Text(filled=True), required=True),
        }
    ),
    unique="id",
)
_OUTPUTS: Final = Items(
    Structure(
        {
            "id": Property(_DIRECTORY_ID, required=True),
            "pathPrefix": Property(_Directory(), required=True),
            "pathSuffix": Property(_Directory(relative=True)),
        },
        check=_check_output_id,
    ),
    unique="id",
)

_PROPERTIES: Final = Structure(
    {
        "schedulingPriority": Property(Choice(tuple(PRIORITIES)), default="normal"),
        "cluster": Property(
            Structure({"id": Property(Text(filled=True), required=True)}), required=True
        ),
        "mountVolumes": Property(MOUNT_VOLUMES),
        "nodeCount": Property(Whole(1, _MAXIMUM_NODES), required=True),
        "containerSettings": Property(_CONTAINER),
        **{name: Property(shape) for name, (_, shape) in TOOLKITS.items()},
        "jobPreparation": Property(
            Structure({"commandLine": Property(Text(filled=True), required=True)})
        ),
        "stdOutErrPathPrefix": Property(_Directory(), required=True),
        "inputDirectories": Property(_INPUTS),
        "outputDirectories": Property(_OUTPUTS),
        "environmentVariables": Property(VARIABLES),
        "secrets": Property(SECRETS),
        "constraints": Property(
            Structure({"maxWallClockTime": Property(_Duration(), default="P7D")}),
            default={"maxWallClockTime": "P7D"},
        ),
    },
    read_only=frozenset(
        {
            "experimentName",
            "toolType",
            "jobOutputDirectoryPathSegment",
            "creationTime",
            "provisioningState",
            "provisioningStateTransitionTime",
            "executionState",
            "executionStateTransitionTime",
            "executionInfo",
        }
    ),
    check=_check,
)

CREATE: Final = Structure({"properties": Property(_PROPERTIES, required=True)}, read_only=ENVELOPE)
"""The body of the request that makes a job."""


def shown(requested: Mapping[str, Any], experiment_name: str, path_segment: str) -> dict[str, Any]:
    """Return what a GET shows of the properties that were asked for.

    Args:
        requested: The properties in normal form.
        experiment_name: The experiment that the job lies in.
        path_segment: The job's own part of the paths of its output.
    """
    return {
        "experimentName": experiment_name,
        **_PROPERTIES.public(requested),
        "jobOutputDirectoryPathSegment": path_segment,
        "toolType": tool_type(requested),
    }


def hidden(requested: Mapping[str, Any]) -> dict[str, Any]:
    """Return the secrets among the properties that were asked for.

    Args:
        requested: The properties in normal form.
    """
    result: dict[str, Any] = {
        "environment": values(requested.get("secrets", ())),
        "accountKeys": account_keys(requested.get("mountVolumes", {})),
    }
    registry = requested.get("containerSettings", {}).get("imageSourceRegistry", {})
    if "credentials" in registry:
        result["registryPassword"] = registry["credentials"]["password"]
    return result

"""The properties of a cluster: what a request may say, and what the service adds."""

import logging
import re
from collections.abc import Mapping
from typing import Any, Final

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
    Property,
    Structure,
    Text,
    Whole,
    refuse,
)
from batchai_recipes.service.management.user_account import USER_ACCOUNT_SETTINGS

_LOG: Final = logging.getLogger(__name__)
_MAXIMUM_NODES: Final = 1000
_VM_SIZE: Final = re.compile(r"(standard|basic)_[a-z]+[0-9]+[a-z0-9-]*(_[a-z0-9]+)*", re.IGNORECASE)
_RESOURCE_ID: Final = Structure({"id": Property(Text(filled=True), required=True)})
_NODES: Final = Whole(0, _MAXIMUM_NODES)


def _check_scale(scale: dict[str, Any], at: str) -> None:
    if len(scale) != 1:
        refuse(at, "exactly one of manual and autoScale must be given.")


def _check_auto_scale(scale: dict[str, Any], at: str) -> None:
    if scale["minimumNodeCount"] > scale["maximumNodeCount"]:
        refuse(f"{at}.minimumNodeCount", "it must not be greater than maximumNodeCount.")
    if scale["initialNodeCount"] > scale["maximumNodeCount"]:
        refuse(f"{at}.initialNodeCount", "it must not be greater than maximumNodeCount.")


SCALE_SETTINGS: Final = Structure(
    {
        "manual": Property(
            Structure(
                {
                    "targetNodeCount": Property(_NODES, required=True),
                    "nodeDeallocationOption": Property(
                        Choice(("requeue", "terminate", "waitforjobcompletion")),
                        default="requeue",
                    ),
                }
            )
        ),
        "autoScale": Property(
            Structure(
                {
                    "minimumNodeCount": Property(_NODES, required=True),
                    "maximumNodeCount": Property(_NODES, required=True),
                    "initialNodeCount": Property(_NODES, default=0),
                },
                check=_check_auto_scale,
            )
        ),
    },
    check=_check_scale,
)
"""How many nodes a cluster has."""

_SETUP_TASK: Final = Structure(
    {
        "commandLine": Property(Text(filled=True), required=True),
        "environmentVariables": Property(VARIABLES),
        "secrets": Property(SECRETS),
        "stdOutErrPathPrefix": Property(Text(filled=True), required=True),
    },
    read_only=frozenset({"stdOutErrPathSuffix"}),
    check=check_disjoint,
)
_PERFORMANCE_COUNTERS: Final = Structure(
    {
        "appInsightsReference": Property(
            Structure(
                {
                    "component": Property(_RESOURCE_ID, required=True),
                    "instrumentationKey": Property(Text(), secret=True),
                    "instrumentationKeySecretReference": Property(NO_KEY_VAULT),
                }
            ),
            required=True,
        )
    }
)
_IMAGE: Final = Structure(
    {
        "publisher": Property(Text(filled=True), required=True),
        "offer": Property(Text(filled=True), required=True),
        "sku": Property(Text(filled=True), required=True),
        "version": Property(Text(filled=True), default="latest"),
        "virtualMachineImageId": Property(Text()),
    }
)
_UBUNTU: Final = {"publisher": "Canonical", "offer": "UbuntuServer", "sku": "16.04-LTS"}

_PROPERTIES: Final = Structure(
    {
        "vmSize": Property(Text(filled=True), required=True),
        "vmPriority": Property(Choice(("dedicated", "lowpriority")), default="dedicated"),
        "scaleSettings": Property(SCALE_SETTINGS, default={"manual": {"targetNodeCount": 0}}),
        "virtualMachineConfiguration": Property(
            Structure({"imageReference": Property(_IMAGE, default=_UBUNTU)}),
            default={"imageReference": _UBUNTU},
        ),
        "userAccountSettings": USER_ACCOUNT_SETTINGS,
        "nodeSetup": Property(
            Structure(
                {
                    "setupTask": Property(_SETUP_TASK),
                    "mountVolumes": Property(MOUNT_VOLUMES),
                    "performanceCountersSettings": Property(_PERFORMANCE_COUNTERS),
                }
            )
        ),
        "subnet": Property(_RESOURCE_ID),
    },
    read_only=frozenset(
        {
            "creationTime",
            "provisioningState",
            "provisioningStateTransitionTime",
            "allocationState",
            "allocationStateTransitionTime",
            "errors",
            "currentNodeCount",
            "nodeStateCounts",
        }
    ),
)

CREATE: Final = Structure({"properties": Property(_PROPERTIES, required=True)}, read_only=ENVELOPE)
"""The body of the request that makes a cluster."""

UPDATE: Final = Structure(
    {
        "properties": Property(
            Structure({"scaleSettings": Property(SCALE_SETTINGS, required=True)}), required=True
        )
    },
    read_only=ENVELOPE,
)
"""The body of the request that scales one."""


def shown(requested: Mapping[str, Any], path_segment: str) -> dict[str, Any]:
    """Return what a GET shows of the properties that were asked for.

    Args:
        requested: The properties in normal form.
        path_segment: The cluster's own part of the paths of its set-up's output.
    """
    properties: dict[str, Any] = _PROPERTIES.public(requested)
    setup_task = properties.get("nodeSetup", {}).get("setupTask")
    if setup_task is not None:
        setup_task["stdOutErrPathSuffix"] = path_segment
    return properties


def hidden(requested: Mapping[str, Any]) -> dict[str, Any]:
    """Return the secrets among the properties that were asked for.

    Args:
        requested: The properties in normal form.
    """
    node_setup = requested.get("nodeSetup", {})
    result: dict[str, Any] = {"accountKeys": account_keys(node_setup.get("mountVolumes", {}))}
    password = requested["userAccountSettings"].get("adminUserPassword")
    if password is not None:
        result["adminUserPassword"] = password
    if "setupTask" in node_setup:
        secrets = node_setup["setupTask"].get("secrets", ())
        result["setupTask"] = {"environment": values(secrets)}
    reference = node_setup.get("performanceCountersSettings", {}).get("appInsightsReference", {})
    if "instrumentationKey" in reference:
        result["instrumentationKey"] = reference["instrumentationKey"]
    return result


def initial_nodes(scale: Mapping[str, Any]) -> int:
    """Return how many nodes a cluster shall have with given scale settings.

    Args:
        scale: Scale settings in normal form.
    """
    if "manual" in scale:
        return int(scale["manual"]["targetNodeCount"])
    automatic = scale["autoScale"]
    return int(max(automatic["initialNodeCount"], automatic["minimumNodeCount"]))


def warn_of_vm_size(requested: Mapping[str, Any]) -> None:
    """Log a VM size that does not look like one of Azure's.

    Args:
        requested: The properties in normal form.
    """
    size = requested["vmSize"]
    if _VM_SIZE.fullmatch(size) is None:
        _LOG.warning("vmSize %.64r does not look like a size of Azure's", size)

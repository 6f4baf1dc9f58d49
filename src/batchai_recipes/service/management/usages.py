"""Usages: how many clusters and virtual processors a subscription holds in a region."""

import json
import sqlite3
from collections import Counter
from http import HTTPStatus
from typing import Any, Final

from starlette.responses import Response

from batchai_recipes.service.management.calls import Call, Endpoint
from batchai_recipes.service.management.documents import JSONResponse
from batchai_recipes.service.management.errors import ManagementError
from batchai_recipes.service.management.plane import ManagementPlane
from batchai_recipes.service.vm_sizes import vm_size

NO_LIMIT: Final = 2**31 - 1
"""What is shown as the limit: the service sets none."""

_FAMILIES: Final = ("D", "Dv2", "NC", "NCv2", "NCv3", "ND", "NV")
_PRIORITIES: Final = (
    ("dedicated", "Dedicated", "Dedicated"),
    ("lowpriority", "LowPriority", "Low Priority"),
)
_USED: Final = """
    SELECT cluster.properties, (
        SELECT COUNT(*) FROM nodes WHERE nodes.cluster_key = cluster.key
    ) AS nodes
    FROM resources AS cluster JOIN resources AS workspace ON workspace.key = cluster.parent_key
    WHERE cluster.kind = 'cluster' AND workspace.location = ?
"""


def list_all(plane: ManagementPlane, call: Call) -> Response:
    """List what the subscription uses in a region, by family of VM sizes and by priority."""
    location = call.names["location"].replace(" ", "").lower()
    if not location.isalnum() or not location.isascii():
        raise ManagementError(
            HTTPStatus.BAD_REQUEST,
            "InvalidLocation",
            f"The location '{location[:100]}' is not a region. Use the name of an Azure region, "
            "as 'northeurope'.",
            target="location",
        )
    with plane.store.read() as records:
        clusters = records.execute(_USED, (location,)).fetchall()
    used = _processors(clusters)
    entries = [_entry("Clusters", "Clusters", len(clusters))]
    for priority, value, words in _PRIORITIES:
        total = sum(count for (of, _), count in used.items() if of == priority)
        entries.append(
            _entry(
                f"Total Cluster {value} Regional vCPUs",
                f"Total Cluster {words} Regional vCPUs",
                total,
            )
        )
        entries += [
            _entry(
                f"Standard {family} Family Cluster {value} vCPUs",
                f"Standard {family} Family Cluster {words} vCPUs",
                used[priority, family],
            )
            for family in _FAMILIES
        ]
    return JSONResponse({"value": entries})


def _processors(clusters: list[sqlite3.Row]) -> Counter[tuple[str, str]]:
    """Return the virtual processors of nodes by priority and family."""
    used: Counter[tuple[str, str]] = Counter()
    for cluster in clusters:
        properties = json.loads(cluster["properties"])
        family, processors = _family(properties["vmSize"])
        used[properties["vmPriority"], family] += processors * cluster["nodes"]
    return used


def _family(name: str) -> tuple[str, int]:
    """Return the family and the virtual processors of a VM size; one each where unknown.

    Example:
        >>> _family("STANDARD_NC6s_v3"), _family("Standard_D3_v2"), _family("huge")
        (('NCv3', 6), ('Dv2', 4), ('', 1))
    """
    size = vm_size(name)
    return ("", 1) if size is None else (size.family, size.cores)


def _entry(value: str, words: str, used: int) -> dict[str, Any]:
    return {
        "unit": "Count",
        "currentValue": used,
        "limit": NO_LIMIT,
        "name": {"value": value, "localizedValue": words},
    }


ROUTES: Final = (
    Endpoint(
        "GET",
        "/subscriptions/{subscriptionId}/providers/Microsoft.BatchAI/locations/{location}/usages",
        list_all,
    ),
)
"""The endpoint of usages."""

"""The kinds of resources, where they lie in each other and how they are called."""

import re
from collections.abc import Mapping
from typing import Final, Literal, Optional

from attrs import field, frozen

KindName = Literal[
    "resourceGroup", "storageAccount", "workspace", "experiment", "cluster", "fileServer", "job"
]
"""How the records call a kind."""

_PROXY_NAME: Final = re.compile(r"[-A-Za-z0-9_]{1,64}")
# Azure forbids the closing full stop, which also keeps '.' and '..' from becoming path segments.
_ACCOUNT_NAME: Final = re.compile(r"[a-z0-9]{3,24}")
_GROUP_NAME: Final = re.compile(r"[-A-Za-z0-9_.]{0,89}[-A-Za-z0-9_]")


@frozen
class Kind:
    """One kind of resource.

    Args:
        name: How the records call it.
        label: How error codes call it, as in ``JobNotFound``.
        noun: How messages call it.
        arm_type: Its type in Azure Resource Manager.
        path: Its address as a template; the last placeholder is its own name.
        parent: The kind that it lies in.
        name_pattern: What its name must look like.
        name_rule: The same in words.
    """

    name: KindName
    label: str
    noun: str
    arm_type: str
    path: str
    parent: Optional["Kind"]
    name_pattern: re.Pattern[str] = field(default=_PROXY_NAME, repr=False)
    name_rule: str = (
        "1 to 64 letters, digits, dashes or underscores (pattern ^[-\\w_]+$, ASCII only)"
    )

    @property
    def parameter(self) -> str:
        """The path parameter that holds its name, as ``jobName``."""
        return self.path.rpartition("{")[2].rstrip("}")

    @property
    def lineage(self) -> tuple["Kind", ...]:
        """The kinds from the outermost down to this one."""
        return (*(self.parent.lineage if self.parent else ()), self)

    def key(self, names: Mapping[str, str]) -> str:
        """Return the record key of a resource of this kind.

        Args:
            names: The path parameters of the request.
        """
        return self.path.format_map(names).lower()

    def child_id(self, parent_id: str, name: str) -> str:
        """Return the id of a resource of this kind.

        Args:
            parent_id: The id of the resource that it lies in, as it was created.
            name: The resource's own name.
        """
        if self.parent is None:
            return self.path.format_map({"subscriptionId": parent_id, self.parameter: name})
        inside = self.path[len(self.parent.path) :]
        return parent_id + inside.format_map({self.parameter: name})


RESOURCE_GROUP: Final = Kind(
    name="resourceGroup",
    label="ResourceGroup",
    noun="resource group",
    arm_type="Microsoft.Resources/resourceGroups",
    path="/subscriptions/{subscriptionId}/resourceGroups/{resourceGroupName}",
    parent=None,
    name_pattern=_GROUP_NAME,
    name_rule=(
        "1 to 90 letters, digits, dashes, underscores or full stops (ASCII only), "
        "without a full stop at the end"
    ),
)
STORAGE_ACCOUNT: Final = Kind(
    name="storageAccount",
    label="StorageAccount",
    noun="storage account",
    arm_type="Microsoft.Storage/storageAccounts",
    path=RESOURCE_GROUP.path + "/providers/Microsoft.Storage/storageAccounts/{accountName}",
    parent=RESOURCE_GROUP,
    name_pattern=_ACCOUNT_NAME,
    name_rule="3 to 24 lower-case letters and digits",
)
WORKSPACE: Final = Kind(
    name="workspace",
    label="Workspace",
    noun="workspace",
    arm_type="Microsoft.BatchAI/workspaces",
    path=RESOURCE_GROUP.path + "/providers/Microsoft.BatchAI/workspaces/{workspaceName}",
    parent=RESOURCE_GROUP,
)
CLUSTER: Final = Kind(
    name="cluster",
    label="Cluster",
    noun="cluster",
    arm_type="Microsoft.BatchAI/workspaces/clusters",
    path=WORKSPACE.path + "/clusters/{clusterName}",
    parent=WORKSPACE,
)
EXPERIMENT: Final = Kind(
    name="experiment",
    label="Experiment",
    noun="experiment",
    arm_type="Microsoft.BatchAI/workspaces/experiments",
    path=WORKSPACE.path + "/experiments/{experimentName}",
    parent=WORKSPACE,
)
FILE_SERVER: Final = Kind(
    name="fileServer",
    label="FileServer",
    noun="file server",
    # The real service wrote both in lower case, though clients ask for `fileServers`.
    arm_type="Microsoft.BatchAI/workspaces/fileservers",
    path=WORKSPACE.path + "/fileservers/{fileServerName}",
    parent=WORKSPACE,
)
JOB: Final = Kind(
    name="job",
    label="Job",
    noun="job",
    arm_type="Microsoft.BatchAI/workspaces/experiments/jobs",
    path=EXPERIMENT.path + "/jobs/{jobName}",
    parent=EXPERIMENT,
)

KINDS: Final[Mapping[str, Kind]] = {
    kind.name: kind
    for kind in (
        RESOURCE_GROUP,
        STORAGE_ACCOUNT,
        WORKSPACE,
        CLUSTER,
        FILE_SERVER,
        EXPERIMENT,
        JOB,
    )
}
"""Every kind by the name that the records give it."""


def names_of(resource_id: str) -> tuple[str, ...]:
    """Return the names that a resource id is made of, the subscription first.

    Args:
        resource_id: The id of a resource of the management plane.

    Example:
        >>> names_of("/subscriptions/S/resourceGroups/G/providers/Microsoft.BatchAI/workspaces/W")
        ('S', 'G', 'W')
    """
    parts = resource_id.split("/")[1:]
    pairs = zip(parts[::2], parts[1::2], strict=False)
    return tuple(name for collection, name in pairs if collection.lower() != "providers")

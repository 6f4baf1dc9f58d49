"""What the commands say of a cluster."""

from typing import TYPE_CHECKING, cast

from batchai_recipes.cli.console import moment
from batchai_recipes.cli.finding import place_of_cluster
from batchai_recipes.session.cluster_state import ClusterState

if TYPE_CHECKING:
    from azure.mgmt.batchai.models import Cluster


def wire(cluster: "Cluster") -> dict[str, object]:
    """Return a cluster as the service described it.

    Args:
        cluster: The official model.
    """
    return cast("dict[str, object]", cluster.serialize(keep_readonly=True))  # type: ignore[no-untyped-call]  # msrest's


def scale_of(cluster: "Cluster") -> str:
    """Return how many nodes a cluster shall have.

    Args:
        cluster: The official model.
    """
    scale = cluster.scale_settings
    if scale and scale.auto_scale:
        auto = scale.auto_scale
        return f"{auto.minimum_node_count} to {auto.maximum_node_count}"
    return str(scale.manual.target_node_count) if scale and scale.manual else ""


def row(cluster: "Cluster") -> tuple[object, ...]:
    """Return a cluster's line in a list, in the order of :data:`COLUMNS`."""
    state, place = ClusterState.of(cluster), place_of_cluster(cluster)
    return (
        *(place.cluster, state.allocation, state.allocated, scale_of(cluster)),
        *(state.idle, state.running, cluster.vm_size, place.workspace, place.resource_group),
    )


COLUMNS = (
    *("Name", "State", "Nodes", "Target", "Idle", "Running"),
    *("VM size", "Workspace", "Resource group"),
)


def properties(cluster: "Cluster") -> list[tuple[str, object]]:
    """Return what is told of one cluster."""
    state, place = ClusterState.of(cluster), place_of_cluster(cluster)
    setup = cluster.node_setup
    volumes = setup.mount_volumes if setup else None
    nodes = (
        f"{state.allocated}: {state.idle} idle, {state.running} running, "
        f"{state.preparing} preparing, {state.leaving} leaving, {state.unusable} unusable"
    )
    shares = (volumes.azure_file_shares or []) if volumes else []
    return [
        ("Name", place.cluster),
        ("Workspace", place.workspace),
        ("Resource group", place.resource_group),
        ("VM size", f"{cluster.vm_size} ({cluster.vm_priority or 'dedicated'})"),
        ("Scale", scale_of(cluster)),
        ("State", state.allocation),
        ("Nodes", nodes),
        ("Mounts", "\n".join(f"{s.azure_file_url} at {s.relative_mount_path}" for s in shares)),
        ("Errors", "\n".join(state.errors)),
        ("Created", moment(cluster.creation_time)),
    ]

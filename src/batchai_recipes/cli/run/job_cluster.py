"""The cluster that one job runs on."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from attrs import evolve, frozen

from batchai_recipes.builders.cluster import ClusterBuilder
from batchai_recipes.builders.job import JobBuilder
from batchai_recipes.builders.scale import AutoScale, ManualScale
from batchai_recipes.errors import ConfigurationError
from batchai_recipes.session.existing_cluster import mounts_of

if TYPE_CHECKING:
    from azure.mgmt.batchai.models import Cluster

_NAME: Final = "cluster"
_USUAL_SIZE: Final = "STANDARD_D1"


@frozen
class JobClusterOptions:
    """What the command line says of the cluster, beside its file.

    Args:
        mounts: Shares that it mounts, too, each as ``SHARE=PLACE``.
        nodes: Its number of nodes; None for that of the file.
        vm_size: The size of its nodes; None for that of the file.
    """

    mounts: Sequence[str] = ()
    nodes: int | None = None
    vm_size: str | None = None


def cluster_of(
    job: JobBuilder, cluster: ClusterBuilder | None, options: JobClusterOptions
) -> ClusterBuilder:
    """Return the cluster for a job.

    Args:
        job: The job.
        cluster: The cluster of the user's file; None for a plain one of as many nodes as the job
            runs on.
        options: What the command line says of it.

    Raises:
        ConfigurationError: An option is wrong, the cluster has no size, or it has too few nodes, so
            that the job would wait for ever.

    Example:
        >>> from batchai_recipes import CustomJobBuilder
        >>> options = JobClusterOptions(["data=external"])
        >>> cluster = cluster_of(CustomJobBuilder("j").nodes(2), None, options)
        >>> cluster.scale.target_node_count, cluster.mounts[0].root
        (2, '$AZ_BATCHAI_MOUNT_ROOT/external')
    """
    if cluster is None:
        cluster = ClusterBuilder(_NAME).vm_size(_USUAL_SIZE).nodes(job.node_count)
    if options.vm_size is not None:
        cluster = cluster.vm_size(options.vm_size)
    if options.nodes is not None:
        cluster = cluster.nodes(options.nodes)
    for mount in options.mounts:
        share, equals, place = mount.partition("=")
        if not equals:
            raise ConfigurationError(f"--mount {mount!r} names no place: write SHARE=PLACE")
        cluster = cluster.mount(share, at=place)
    if cluster.size is None:
        raise ConfigurationError("The cluster's file has no 'vmSize': add it, or give --vm-size")
    _check_nodes(job, cluster, f"give --nodes {job.node_count}")
    return cluster


def used_cluster(job: JobBuilder, cluster: "Cluster", account: str) -> ClusterBuilder:
    """Return a cluster that exists for a job, as it is.

    Args:
        job: The job.
        cluster: The cluster, as the service describes it.
        account: The connection's storage account.

    Raises:
        ConfigurationError: It has too few nodes, so that the job would wait for ever.
    """
    used = evolve(
        ClusterBuilder(str(cluster.name)), mounts=mounts_of(cluster, account), scale=_scale(cluster)
    )
    more = f"batchai-recipes cluster scale {used.name} --nodes {job.node_count}"
    _check_nodes(job, used, f"scale it first, {more}")
    return used


def _scale(cluster: "Cluster") -> ManualScale | AutoScale:
    settings = cluster.scale_settings
    if settings and settings.auto_scale:
        auto = settings.auto_scale
        return AutoScale(auto.minimum_node_count, auto.maximum_node_count)
    return ManualScale(settings.manual.target_node_count if settings and settings.manual else 0)


def _check_nodes(job: JobBuilder, cluster: ClusterBuilder, remedy: str) -> None:
    most = cluster.scale.most_nodes
    if most < job.node_count:
        raise ConfigurationError(
            f"Job {job.name!r} runs on {job.node_count} nodes, and the cluster has at most {most}: "
            f"{remedy}"
        )

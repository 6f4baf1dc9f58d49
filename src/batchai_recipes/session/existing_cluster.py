"""What a session has to know of a cluster that it did not make."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from batchai_recipes.builders.cluster import ClusterBuilder
from batchai_recipes.builders.mount import (
    BlobContainerMount,
    FileServerMount,
    FileShareMount,
    Mount,
    MountAccount,
    UnmanagedMount,
)
from batchai_recipes.errors import ConfigurationError

if TYPE_CHECKING:
    from azure.mgmt.batchai.models import Cluster


def mounts_of(cluster: "Cluster", account: str) -> tuple[Mount, ...]:
    """Return what a cluster mounts, without the keys, which the service never gives back.

    Args:
        cluster: The cluster as the service describes it.
        account: The session's storage account; volumes on it are taken for the session's.

    Example:
        >>> from azure.mgmt.batchai.models import Cluster
        >>> share = {"accountName": "demo", "relativeMountPath": "data",
        ...          "azureFileUrl": "https://demo.file.core.windows.net/mine"}
        >>> setup = {"mountVolumes": {"azureFileShares": [share]}}
        >>> cluster = Cluster.deserialize({"properties": {"nodeSetup": setup}})
        >>> [(mount.share, mount.at) for mount in mounts_of(cluster, "demo")]
        [('mine', 'data')]
    """
    setup = cluster.node_setup
    volumes = setup.mount_volumes if setup else None
    if volumes is None:
        return ()

    def owner(name: str) -> MountAccount | None:
        return None if name == account else MountAccount(name, "")

    def found() -> Iterator[Mount]:
        for share in volumes.azure_file_shares or ():
            url = str(share.azure_file_url)
            name = url.rstrip("/").rpartition("/")[2]
            yield FileShareMount(
                name, share.relative_mount_path, owner(share.account_name), url=url
            )
        for blob in volumes.azure_blob_file_systems or ():
            yield BlobContainerMount(
                blob.container_name, blob.relative_mount_path, owner(blob.account_name)
            )
        for server in volumes.file_servers or ():
            yield FileServerMount(str(server.file_server.id), server.relative_mount_path)
        for system in volumes.unmanaged_file_systems or ():
            yield UnmanagedMount(system.mount_command, system.relative_mount_path)

    return tuple(found())


def own_shares(mounts: Iterable[Mount]) -> tuple[str, ...]:
    """Return the names of the file shares among mounts that are of the session's account.

    Args:
        mounts: The mounts.
    """
    shares = (one.share for one in mounts if isinstance(one, FileShareMount) and not one.account)
    return tuple(dict.fromkeys(shares))


def check_mounts(builder: ClusterBuilder, there: tuple[Mount, ...]) -> None:
    """Check that a cluster that is used as it is mounts what its builder says.

    Args:
        builder: The cluster as it was asked for.
        there: What it really mounts.

    Raises:
        ConfigurationError: A volume is missing.
    """
    places = {mount.at for mount in there}
    missing = [mount.at for mount in builder.mounts if mount.at not in places]
    if missing:
        has = ", ".join(map(repr, sorted(places))) or "nothing"
        raise ConfigurationError(
            f"Cluster {builder.name!r} exists and is used as it is, but it mounts {has} and not "
            f"{', '.join(map(repr, missing))}: use what it mounts, or another cluster"
        )

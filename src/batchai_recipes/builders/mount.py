"""A file share mounted on the nodes of a cluster."""

from collections.abc import Iterable

from attrs import frozen

from batchai_recipes.errors import ConfigurationError
from batchai_recipes.staging.mounted_path import MountedPath

MOUNT_ROOT = "$AZ_BATCHAI_MOUNT_ROOT"


@frozen
class FileShareMount:
    """A file share and the relative path at which a cluster's nodes mount it.

    Args:
        share: The share's name.
        at: The path under ``$AZ_BATCHAI_MOUNT_ROOT``.

    Example:
        >>> FileShareMount("batchaiquickstart", "azurefileshare").root
        '$AZ_BATCHAI_MOUNT_ROOT/azurefileshare'
    """

    share: str
    at: str

    @property
    def root(self) -> str:
        """The mount's path as a job writes it."""
        return f"{MOUNT_ROOT}/{self.at}"


def path_on_node(path: str | MountedPath, mounts: Iterable[FileShareMount], *, of: str) -> str:
    """Return a path as a job on a cluster with these mounts writes it.

    Args:
        path: A path on a node, or one on a share.
        mounts: What the cluster mounts.
        of: Whose path it is, for the message.

    Raises:
        ConfigurationError: The path is on a share that the cluster does not mount.
    """
    if isinstance(path, str):
        return path
    known = tuple(mounts)
    for mount in known:
        if mount.share == path.share:
            return f"{mount.root}/{path.path}" if path.path else mount.root
    mounted = ", ".join(repr(mount.share) for mount in known) or "no share"
    raise ConfigurationError(
        f"The {of} is on share {path.share!r}, but the cluster mounts {mounted}: "
        f"add .mount({path.share!r}, at=...) to the ClusterBuilder"
    )

"""Volumes that clusters and jobs mount, and the paths on them."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final, TypeAlias

from attrs import field, frozen

from batchai_recipes.builders.key_vault import KeyVaultSecret
from batchai_recipes.errors import ConfigurationError
from batchai_recipes.staging.mounted_path import MountedPath
from batchai_recipes.staging.storage_account import StorageAccount
from batchai_recipes.text import checked_text, filled_text

if TYPE_CHECKING:
    from azure.mgmt.batchai.models import (
        AzureBlobFileSystemReference,
        AzureFileShareReference,
        AzureStorageCredentialsInfo,
        FileServerReference,
        MountVolumes,
        UnmanagedFileSystemReference,
    )

MOUNT_ROOT: Final = "$AZ_BATCHAI_MOUNT_ROOT"
JOB_MOUNT_ROOT: Final = "$AZ_BATCHAI_JOB_MOUNT_ROOT"


@frozen
class MountAccount:
    """The storage account of a volume.

    Args:
        name: The account's name.
        key: One of its keys, or where to read it; a key is never shown.
    """

    name: str
    key: str | KeyVaultSecret = field(repr=False)

    def credentials(self) -> "AzureStorageCredentialsInfo":
        """Return the official model of the key."""
        from azure.mgmt.batchai import models  # noqa: PLC0415 - loaded on first use

        if isinstance(self.key, KeyVaultSecret):
            reference = self.key.reference()
            return models.AzureStorageCredentialsInfo(account_key_secret_reference=reference)
        return models.AzureStorageCredentialsInfo(account_key=self.key)


@frozen
class FileShareMount:
    """A file share and the relative path at which nodes mount it.

    Args:
        share: The share's name.
        at: The path under the mount root.
        account: Its storage account; None for the session's.
        url: Its URL; None for the account's usual one.
        file_mode: The mode of its files, octal; None for the service's default.
        directory_mode: The mode of its directories, octal; None for the service's default.

    Example:
        >>> FileShareMount("batchaiquickstart", "azurefileshare").root
        '$AZ_BATCHAI_MOUNT_ROOT/azurefileshare'
    """

    share: str
    at: str
    account: MountAccount | None = None
    url: str | None = None
    file_mode: str | None = None
    directory_mode: str | None = None

    @property
    def root(self) -> str:
        """The mount's path as a job writes it when its cluster mounts the share."""
        return f"{MOUNT_ROOT}/{self.at}"

    def model(self, storage: StorageAccount | None) -> "AzureFileShareReference":
        """Return the official model.

        Args:
            storage: The account where the share names none.

        Raises:
            ConfigurationError: There is none.
        """
        from azure.mgmt.batchai import models  # noqa: PLC0415 - loaded on first use

        account = _account(self.account, storage, f"Share {self.share!r}")
        url = self.url or f"https://{account.name}.file.core.windows.net/{self.share}"
        if storage and not self.url and not self.account:
            url = storage.share_url(self.share)
        share = models.AzureFileShareReference(
            account_name=account.name,
            azure_file_url=url,
            credentials=account.credentials(),
            relative_mount_path=self.at,
        )
        share.file_mode = self.file_mode or share.file_mode
        share.directory_mode = self.directory_mode or share.directory_mode
        return share


@frozen
class BlobContainerMount:
    """A blob container and the relative path at which nodes mount it.

    Args:
        container: The container's name.
        at: The path under the mount root.
        account: Its storage account; None for the session's.
        mount_options: Options for blobfuse.
    """

    container: str
    at: str
    account: MountAccount | None = None
    mount_options: str | None = None

    def model(self, storage: StorageAccount | None) -> "AzureBlobFileSystemReference":
        """Return the official model.

        Args:
            storage: The account where the container names none.

        Raises:
            ConfigurationError: There is none.
        """
        from azure.mgmt.batchai import models  # noqa: PLC0415 - loaded on first use

        account = _account(self.account, storage, f"Container {self.container!r}")
        return models.AzureBlobFileSystemReference(
            account_name=account.name,
            container_name=self.container,
            credentials=account.credentials(),
            relative_mount_path=self.at,
            mount_options=self.mount_options,
        )


@frozen
class FileServerMount:
    """A Batch AI file server and the relative path at which nodes mount it.

    Args:
        file_server_id: The resource id of the file server.
        at: The path under the mount root.
        source_directory: The directory of the server to mount; None for all of it.
        mount_options: Options for mount.
    """

    file_server_id: str
    at: str
    source_directory: str | None = None
    mount_options: str | None = None

    def model(self) -> "FileServerReference":
        """Return the official model."""
        from azure.mgmt.batchai import models  # noqa: PLC0415 - loaded on first use

        return models.FileServerReference(
            file_server=models.ResourceId(id=self.file_server_id),
            source_directory=self.source_directory,
            relative_mount_path=self.at,
            mount_options=self.mount_options,
        )


@frozen
class UnmanagedMount:
    """A file system that a command mounts, and the relative path at which nodes have it.

    Args:
        mount_command: The command, to which the service adds the path.
        at: The path under the mount root.
    """

    mount_command: str
    at: str

    def model(self) -> "UnmanagedFileSystemReference":
        """Return the official model."""
        from azure.mgmt.batchai import models  # noqa: PLC0415 - loaded on first use

        return models.UnmanagedFileSystemReference(
            mount_command=self.mount_command, relative_mount_path=self.at
        )


Mount: TypeAlias = FileShareMount | BlobContainerMount | FileServerMount | UnmanagedMount


def rooted(own: Iterable[Mount], cluster: Iterable[Mount]) -> Iterator[tuple[str, FileShareMount]]:
    """Yield the paths of the shares that a job finds mounted, its own first.

    Args:
        own: What the job mounts itself.
        cluster: What its cluster mounts.
    """
    for root, mounts in ((JOB_MOUNT_ROOT, own), (MOUNT_ROOT, cluster)):
        for mount in mounts:
            if isinstance(mount, FileShareMount):
                yield f"{root}/{mount.at}", mount


def checked_node_path(what: str, path: str | MountedPath) -> str | MountedPath:
    """Return a path if it leads somewhere on a node wherever a process is.

    Args:
        what: What the path is, for the message.
        path: A path on a node, or one on a share.

    Raises:
        ConfigurationError: It is neither a text nor on a share, or it is relative.

    Example:
        >>> checked_node_path("The path", "$AZ_BATCHAI_MOUNT_ROOT/share")
        '$AZ_BATCHAI_MOUNT_ROOT/share'
    """
    if isinstance(path, MountedPath):
        return path
    text = filled_text(what, checked_text(what, path, or_else="staging.mounted(...)"))
    if not text.startswith(("/", "$")):
        raise ConfigurationError(
            f"{what} is the relative path {text!r}: begin it with '/' or with a variable, as "
            f"'{MOUNT_ROOT}/...'; a path on a share is staging.mounted(...)"
        )
    return text


def path_on_node(
    path: str | MountedPath, shares: Iterable[tuple[str, FileShareMount]], *, of: str
) -> str:
    """Return a path as a job that finds these shares mounted writes it.

    Args:
        path: A path on a node, or one on a share of the session's account.
        shares: The shares with their paths on the node.
        of: Whose path it is, for the message.

    Raises:
        ConfigurationError: The path is on a share that is not mounted.
    """
    if isinstance(path, str):
        return path
    known = tuple(shares)
    for root, mount in known:
        if mount.share == path.share and mount.account is None:
            return f"{root}/{path.path}" if path.path else root
    mounted = ", ".join(repr(mount.share) for _, mount in known) or "no share"
    raise ConfigurationError(
        f"The {of} is on share {path.share!r}, but the cluster mounts {mounted}: "
        f"add .mount({path.share!r}, at=...) to the ClusterBuilder"
    )


def mount_volumes(
    mounts: tuple[Mount, ...], storage: StorageAccount | None
) -> "MountVolumes | None":
    """Return the official models of volumes; None where there are none.

    Args:
        mounts: The volumes.
        storage: The account of those that name none.

    Raises:
        ConfigurationError: A volume names no account, and none is given here.
    """
    from azure.mgmt.batchai import models  # noqa: PLC0415 - loaded on first use

    if not mounts:
        return None
    shares = [m.model(storage) for m in mounts if isinstance(m, FileShareMount)]
    containers = [m.model(storage) for m in mounts if isinstance(m, BlobContainerMount)]
    servers = [m.model() for m in mounts if isinstance(m, FileServerMount)]
    unmanaged = [m.model() for m in mounts if isinstance(m, UnmanagedMount)]
    return models.MountVolumes(
        azure_file_shares=shares or None,
        azure_blob_file_systems=containers or None,
        file_servers=servers or None,
        unmanaged_file_systems=unmanaged or None,
    )


def _account(own: MountAccount | None, storage: StorageAccount | None, what: str) -> MountAccount:
    if own is not None:
        return own
    if storage is None:
        raise ConfigurationError(
            f"{what} is of the session's storage account: give build() that account, or name "
            f"another where it is mounted"
        )
    return MountAccount(storage.name, storage.key)

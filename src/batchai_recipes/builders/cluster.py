"""ClusterBuilder: a Batch AI cluster as a value."""

import warnings
from typing import TYPE_CHECKING

from attrs import evolve, field, frozen

from batchai_recipes.builders.admin_user import AdminUser
from batchai_recipes.builders.count import checked_count
from batchai_recipes.builders.mount import FileShareMount
from batchai_recipes.builders.vm_size import UnknownVmSizeWarning, unknown_vm_size_message
from batchai_recipes.errors import ConfigurationError
from batchai_recipes.names import (
    checked_relative_path,
    checked_resource_name,
    checked_share_name,
)
from batchai_recipes.staging.file_share_staging import FileShareStaging
from batchai_recipes.staging.storage_account import StorageAccount

if TYPE_CHECKING:
    from azure.mgmt.batchai.models import ClusterCreateParameters, NodeSetup


def _cluster_name(name: str) -> str:
    return checked_resource_name("cluster", name)


@frozen
class ClusterBuilder:
    """Describes a cluster; each method returns a new builder.

    Args:
        name: The cluster's name: 1 to 64 letters, digits, ``-`` and ``_``.

    Raises:
        ConfigurationError: The name is not allowed.

    Example:
        >>> cluster = (
        ...     ClusterBuilder("mycluster")
        ...     .vm_size("STANDARD_NC6")
        ...     .nodes(1)
        ...     .admin_user("demo", password="not shown")
        ... )
        >>> cluster.build().scale_settings.manual.target_node_count
        1
    """

    name: str = field(converter=_cluster_name)
    size: str | None = field(default=None, kw_only=True)
    target_node_count: int = field(default=1, kw_only=True)
    admin: AdminUser | None = field(default=None, kw_only=True)
    mounts: tuple[FileShareMount, ...] = field(default=(), kw_only=True)

    def vm_size(self, size: str) -> "ClusterBuilder":
        """Set the size of the cluster's virtual machines.

        Args:
            size: A size by its Azure name, such as ``STANDARD_NC6``. One that is not known here
                is passed on as it is, with an :class:`UnknownVmSizeWarning`.

        Raises:
            ConfigurationError: The size is empty.
        """
        if not size.strip():
            raise ConfigurationError("The VM size is empty: name one such as 'STANDARD_NC6'")
        message = unknown_vm_size_message(size)
        if message:
            warnings.warn(message, UnknownVmSizeWarning, stacklevel=2)
        return evolve(self, size=size)

    def nodes(self, count: int) -> "ClusterBuilder":
        """Keep the cluster at a number of nodes (manual scale).

        Args:
            count: How many nodes, 0 or more.

        Raises:
            ConfigurationError: The count is negative or not a whole number.
        """
        return evolve(
            self, target_node_count=checked_count("nodes of a cluster", count, at_least=0)
        )

    def admin_user(
        self, name: str, *, ssh_public_key: str | None = None, password: str | None = None
    ) -> "ClusterBuilder":
        """Set the administrator account of each node.

        Args:
            name: The account's name.
            ssh_public_key: A public key in OpenSSH's format (``ssh-rsa ...``).
            password: A password.

        Raises:
            ConfigurationError: The name is empty, neither key nor password is given, or a private
                key is given in place of the public one.
        """
        admin = AdminUser.checked(name, ssh_public_key=ssh_public_key, password=password)
        return evolve(self, admin=admin)

    def mount(self, share: FileShareStaging | str, *, at: str) -> "ClusterBuilder":
        """Mount a file share on each node.

        Args:
            share: The share, by its staging or its name; it belongs to the session's account.
            at: The path under ``$AZ_BATCHAI_MOUNT_ROOT``.

        Raises:
            ConfigurationError: A name or path is not allowed, or the place is taken.
        """
        name = share.share if isinstance(share, FileShareStaging) else checked_share_name(share)
        place = checked_relative_path("mount", at)
        for other in self.mounts:
            if other.at == place:
                raise ConfigurationError(
                    f"Share {other.share!r} is already mounted at {place!r}: choose another path"
                )
        return evolve(self, mounts=(*self.mounts, FileShareMount(name, place)))

    def build(
        self, storage: StorageAccount | None = None, *, admin: AdminUser | None = None
    ) -> "ClusterCreateParameters":
        """Return the parameters that azure-mgmt-batchai's ``clusters.begin_create`` takes.

        Args:
            storage: The account of the mounted shares; needed only when there are any.
            admin: The admin user where the builder names none.

        Raises:
            ConfigurationError: No VM size was set, or shares are mounted and no account is given.
        """
        from azure.mgmt.batchai import models  # noqa: PLC0415 - loaded on first use

        if self.size is None:
            raise ConfigurationError(
                f"Cluster {self.name!r} has no VM size: add .vm_size('STANDARD_NC6')"
            )
        admin = self.admin or admin
        return models.ClusterCreateParameters(
            vm_size=self.size,
            scale_settings=models.ScaleSettings(
                manual=models.ManualScaleSettings(target_node_count=self.target_node_count)
            ),
            node_setup=self._node_setup(storage),
            user_account_settings=models.UserAccountSettings(
                admin_user_name=admin.name,
                admin_user_ssh_public_key=admin.ssh_public_key,
                admin_user_password=admin.password,
            )
            if admin
            else None,
        )

    def _node_setup(self, storage: StorageAccount | None) -> "NodeSetup | None":
        from azure.mgmt.batchai import models  # noqa: PLC0415 - loaded on first use

        if not self.mounts:
            return None
        if storage is None:
            raise ConfigurationError(
                f"Cluster {self.name!r} mounts shares: give build() the storage account"
            )
        return models.NodeSetup(
            mount_volumes=models.MountVolumes(
                azure_file_shares=[
                    models.AzureFileShareReference(
                        account_name=storage.name,
                        azure_file_url=storage.share_url(mount.share),
                        credentials=models.AzureStorageCredentialsInfo(account_key=storage.key),
                        relative_mount_path=mount.at,
                    )
                    for mount in self.mounts
                ]
            )
        )

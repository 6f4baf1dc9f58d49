"""FileServerBuilder: a Batch AI file server as a value."""

import ipaddress
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from attrs import evolve, field, frozen
from typing_extensions import Self

from batchai_recipes.builders.admin_user import AdminUser
from batchai_recipes.builders.data_disks import CachingType, DataDisks, StorageAccountType
from batchai_recipes.builders.machine import MachineBuilder
from batchai_recipes.errors import ConfigurationError
from batchai_recipes.names import checked_resource_name

if TYPE_CHECKING:
    from azure.mgmt.batchai.models import FileServerCreateParameters


def _file_server_name(name: str) -> str:
    return checked_resource_name("file server", name)


def _checked_address(address: str) -> str:
    try:
        ipaddress.ip_network(address, strict=False)
    except ValueError as error:
        raise ConfigurationError(
            f"{address!r} is no IP address and no range of them: write '192.0.2.1' or "
            f"'192.0.2.0/24'"
        ) from error
    return address


@frozen
class FileServerBuilder(MachineBuilder):
    """Describes a file server of one machine over NFS; each method returns a new builder.

    A session makes none by itself: :meth:`build` gives what the client takes, and a cluster or job
    mounts the file server by its resource id.

    Args:
        name: The file server's name: 1 to 64 letters, digits, ``-`` and ``_``.

    Raises:
        ConfigurationError: The name is not allowed.

    Example:
        >>> server = (
        ...     FileServerBuilder("myserver")
        ...     .vm_size("STANDARD_D1")
        ...     .data_disks(2, size_gb=10)
        ...     .admin_user("demo", password="not shown")
        ... )
        >>> server.build().data_disks.disk_count
        2
    """

    name: str = field(converter=_file_server_name)
    disks: DataDisks | None = field(default=None, kw_only=True)
    public_ips_to_allow: tuple[str, ...] = field(default=(), kw_only=True)

    def data_disks(
        self,
        count: int,
        *,
        size_gb: int,
        storage_account_type: StorageAccountType = "Standard_LRS",
        caching_type: CachingType | None = None,
    ) -> Self:
        """Set the disks that hold the file server's data.

        Args:
            count: How many disks, 1 or more.
            size_gb: The size of each in gigabytes.
            storage_account_type: ``Standard_LRS`` or ``Premium_LRS``.
            caching_type: ``none`` (the service's default), ``readonly`` or ``readwrite``.

        Raises:
            ConfigurationError: A number is no whole number above 0, or a word is another.
        """
        disks = DataDisks.checked(count, size_gb, storage_account_type, caching_type)
        return evolve(self, disks=disks)

    def allow_public_ips(self, *addresses: str) -> Self:
        """Let only some addresses reach the machine over SSH; without any, all of them.

        Args:
            addresses: IP addresses or ranges, such as ``192.0.2.0/24``.

        Raises:
            ConfigurationError: One is no address and no range.
        """
        return evolve(self, public_ips_to_allow=tuple(map(_checked_address, addresses)))

    @classmethod
    def from_file(
        cls,
        path: str | os.PathLike[str],
        *,
        name: str | None = None,
        variables: Mapping[str, str] | None = None,
    ) -> "FileServerBuilder":
        """Read one from a ``file_server.json`` as ``az batchai file-server create -f`` took it.

        Args:
            path: The file.
            name: The file server's name; None for the one in the file, else the file's own.
            variables: What placeholders stand for, by name, such as ``ADMIN_PASSWORD`` for
                ``<ADMIN_PASSWORD>``.

        Raises:
            ConfigFileError: The file cannot be read, is no such file, or has a property that is
                unknown or wrong, or a placeholder without a value; the message says where.

        Example:
            >>> import tempfile
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     path = os.path.join(folder, "file_server.json")
            ...     server = FileServerBuilder("nfs").vm_size("STANDARD_D1")
            ...     server = server.data_disks(1, size_gb=10).admin_user("demo", password="hidden")
            ...     _ = server.to_file(path)
            ...     values = {"ADMIN_USER_PASSWORD": "hidden"}
            ...     FileServerBuilder.from_file(path, name="nfs", variables=values) == server
            True
        """
        from batchai_recipes.configfiles import (  # noqa: PLC0415 - it needs this class
            read_file_server,
        )

        return read_file_server(path, name=name, variables=variables)

    def to_file(self, path: str | os.PathLike[str]) -> tuple[str, ...]:
        """Write the file server to a ``file_server.json``, with a placeholder for its password.

        Args:
            path: The file; one that is there is replaced.

        Returns:
            The names of the placeholders for which :meth:`from_file` needs ``variables``.

        Raises:
            ConfigurationError: Something is missing that :meth:`build` needs.
            ConfigFileError: The file cannot be written.
        """
        from batchai_recipes.configfiles import write_file_server  # noqa: PLC0415 - likewise

        return write_file_server(self, path)

    def build(self, *, admin: AdminUser | None = None) -> "FileServerCreateParameters":
        """Return the parameters that azure-mgmt-batchai's ``file_servers.begin_create`` takes.

        Args:
            admin: The admin user where the builder names none.

        Raises:
            ConfigurationError: It has no VM size, no data disks or no admin user.
        """
        from azure.mgmt.batchai import models  # noqa: PLC0415 - loaded on first use

        user = self.admin or admin
        if self.size is None:
            raise self._lacks("VM size", ".vm_size('STANDARD_D1')")
        if self.disks is None:
            raise self._lacks("data disks", ".data_disks(1, size_gb=10)")
        if user is None:
            raise self._lacks("admin user", ".admin_user('demo', ssh_public_key=...)")
        return models.FileServerCreateParameters(
            vm_size=self.size,
            data_disks=self.disks.model(),
            ssh_configuration=models.SshConfiguration(
                public_ips_to_allow=list(self.public_ips_to_allow) or None,
                user_account_settings=user.model(),
            ),
            subnet=models.ResourceId(id=self.subnet_id) if self.subnet_id else None,
        )

    def _lacks(self, what: str, remedy: str) -> ConfigurationError:
        return ConfigurationError(f"File server {self.name!r} has no {what}: add {remedy}")

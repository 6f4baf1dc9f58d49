"""The data disks of a file server."""

from typing import TYPE_CHECKING, Literal, TypeAlias

from attrs import frozen

from batchai_recipes.builders.count import checked_count
from batchai_recipes.errors import ConfigurationError
from batchai_recipes.names import nearest

if TYPE_CHECKING:
    from azure.mgmt.batchai.models import DataDisks as DataDisksModel

StorageAccountType: TypeAlias = Literal["Standard_LRS", "Premium_LRS"]
CachingType: TypeAlias = Literal["none", "readonly", "readwrite"]

_TYPES = ("Standard_LRS", "Premium_LRS")
_CACHING = ("none", "readonly", "readwrite")


@frozen
class DataDisks:
    """Disks of one size, together one file system.

    Args:
        count: How many disks.
        size_gb: The size of each in gigabytes.
        storage_account_type: How Azure keeps them.
        caching_type: What the machine keeps of them in memory; None for the service's default.
    """

    count: int
    size_gb: int
    storage_account_type: StorageAccountType = "Standard_LRS"
    caching_type: CachingType | None = None

    @classmethod
    def checked(
        cls,
        count: int,
        size_gb: int,
        storage_account_type: StorageAccountType,
        caching_type: CachingType | None,
    ) -> "DataDisks":
        """Return the disks if the service would take them.

        Args:
            count: How many disks.
            size_gb: The size of each in gigabytes.
            storage_account_type: How Azure keeps them.
            caching_type: What the machine keeps of them in memory.

        Raises:
            ConfigurationError: A number is no whole number above 0, or a word is another.

        Example:
            >>> DataDisks.checked(2, 10, "Standard_LRS", None)
            DataDisks(count=2, size_gb=10, storage_account_type='Standard_LRS', caching_type=None)
        """
        checked_count("data disks of a file server", count, at_least=1)
        checked_count("gigabytes of a data disk", size_gb, at_least=1)
        if storage_account_type not in _TYPES:
            raise ConfigurationError(
                f"{storage_account_type!r} is no storage account type: "
                f"{nearest(storage_account_type, _TYPES)}"
            )
        if caching_type is not None and caching_type not in _CACHING:
            raise ConfigurationError(
                f"{caching_type!r} is no caching type: {nearest(caching_type, _CACHING)}"
            )
        return cls(count, size_gb, storage_account_type, caching_type)

    def model(self) -> "DataDisksModel":
        """Return the official model."""
        from azure.mgmt.batchai import models  # noqa: PLC0415 - loaded on first use

        return models.DataDisks(
            disk_count=self.count,
            disk_size_in_gb=self.size_gb,
            storage_account_type=self.storage_account_type,
            caching_type=self.caching_type,
        )

"""Where the folders of volumes are known."""

from pathlib import Path
from typing import Protocol

from attrs import frozen

from batchai_recipes.service.state_directory import StateDirectory
from batchai_recipes.service.storage_endpoints import StorageEndpoints


class AccountKeys(Protocol):
    """What is asked of a storage account."""

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys that open it, base64."""
        ...


class AccountLookup(Protocol):
    """Where storage accounts are known."""

    def get(self, name: str) -> AccountKeys | None:
        """Return an account, or None when there is none of that name."""
        ...


class ShareLookup(Protocol):
    """Where file shares are known."""

    def root(self, account: str, share: str) -> Path:
        """Return a share's folder.

        Raises:
            LookupError: There is no such share.
        """
        ...


class DiskLookup(Protocol):
    """Where the disks of file servers are known."""

    def root(self, resource_id: str) -> Path:
        """Return the folder that is a file server's disk.

        Raises:
            LookupError: There is no such file server.
        """
        ...

    def remove_orphans(self) -> None:
        """Remove the disks of file servers that are gone."""
        ...


@frozen
class VolumePlaces:
    """What volumes need beside the service's own shares.

    Args:
        state: The service's own folder. It holds the copies of remote volumes, and no part of it
            may be mounted by its path.
        disks: The disks of file servers.
        endpoints: Where storage services are.
    """

    state: StateDirectory
    disks: DiskLookup
    endpoints: StorageEndpoints

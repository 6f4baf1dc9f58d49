"""A share or a container of another endpoint, and the copy of it on this machine."""

from pathlib import Path
from typing import Any, Literal

from attrs import field, frozen


@frozen
class RemoteVolume:
    """A volume that is copied in and back by ``volume_sync``.

    Args:
        kind: Whether it is a file share or a blob container.
        relative_path: Where it is mounted.
        account: The storage account.
        endpoint: The URL of the account's file or blob service.
        name: The share or container.
        key: The account's key; never shown.
        folder: Where its copy lies.
        read_only: Whether nothing is ever copied back.
        file_mode: The permission bits of files.
        directory_mode: The permission bits of directories.
    """

    kind: Literal["files", "blobs"]
    relative_path: str
    account: str
    endpoint: str
    name: str
    key: str = field(repr=False)
    folder: Path
    read_only: bool = False
    file_mode: int = 0o777
    directory_mode: int = 0o777

    @property
    def data(self) -> Path:
        """The folder that nodes and jobs see."""
        return self.folder / "data"

    @property
    def is_ready(self) -> bool:
        """Whether all of it has been copied in once."""
        return (self.folder / "ready").exists()

    def place(self) -> dict[str, str]:
        """Return where it is, for whoever lists what a job has written there; without the key."""
        return {
            "kind": self.kind,
            "account": self.account,
            "endpoint": self.endpoint,
            "name": self.name,
        }

    def document(self) -> dict[str, Any]:
        """Return it as a request to ``volume_sync`` writes it, key included."""
        return {
            **self.place(),
            "title": self.relative_path,
            "key": self.key,
            "folder": str(self.folder),
            "read_only": self.read_only,
            "file_mode": self.file_mode,
            "directory_mode": self.directory_mode,
        }

"""The disks of file servers: folders that live as long as the file servers they belong to."""

from pathlib import Path

from batchai_recipes.service.directories_below import remove_tree
from batchai_recipes.service.state_directory import StateDirectory
from batchai_recipes.service.store import Store

_FILE_SERVERS = "SELECT key, created_at FROM resources WHERE kind = 'fileServer'"


class FileServerDisks:
    """The folders that stand for the data disks of file servers.

    Args:
        store: Where the file servers are recorded.
        state: Where their disks lie.
    """

    def __init__(self, store: Store, state: StateDirectory) -> None:
        self._store = store
        self._state = state

    def root(self, resource_id: str) -> Path:
        """Return the folder that is a file server's disk, made on first use.

        Args:
            resource_id: The file server's resource id, in any case.

        Raises:
            LookupError: There is no such file server.
        """
        with self._store.read() as records:
            row = records.execute(
                f"{_FILE_SERVERS} AND key = ? AND provisioning_state != 'deleting'",
                (resource_id.rstrip("/").lower(),),
            ).fetchone()
        if row is None:
            raise LookupError(resource_id)
        disk = self._state.file_server(row["key"], row["created_at"])
        disk.mkdir(mode=0o700, parents=True, exist_ok=True)
        return disk

    def remove_orphans(self) -> None:
        """Remove the disks of file servers that are gone."""
        folder = self._state.file_servers
        found = list(folder.iterdir()) if folder.is_dir() else []
        if not found:
            return
        with self._store.read() as records:
            known = {
                self._state.file_server(row["key"], row["created_at"])
                for row in records.execute(_FILE_SERVERS)
            }
        for disk in found:
            if disk not in known:
                remove_tree(disk)

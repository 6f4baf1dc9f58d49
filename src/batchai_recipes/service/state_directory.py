"""Where each thing of a service lies under its state directory."""

import hashlib
import os
from pathlib import Path

from attrs import frozen


@frozen
class StateDirectory:
    """The folder that holds everything one service knows.

    Args:
        root: The folder; made, with mode 0700, by :meth:`create`.
    """

    root: Path

    def create(self) -> None:
        """Make the folder and its parts where they are missing.

        Raises:
            OSError: The folder cannot be made or is not writable.
        """
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        for folder in (self.shares, self.nodes, self.jobs, self.volumes, self.file_servers):
            folder.mkdir(mode=0o700, exist_ok=True)

    @property
    def database(self) -> Path:
        """The SQLite file with all records."""
        return self.root / "state.db"

    @property
    def certificates(self) -> Path:
        """The folder of the private certificate authority."""
        return self.root / "certificates"

    @property
    def credentials(self) -> Path:
        """The service's own principal and account keys (mode 0600)."""
        return self.root / "credentials.json"

    @property
    def address(self) -> Path:
        """Where a running service listens; present only while it runs (mode 0600)."""
        return self.root / "service.json"

    @property
    def lock(self) -> Path:
        """The file a running service holds locked."""
        return self.root / "service.lock"

    @property
    def launch_lock(self) -> Path:
        """The file a program holds locked while it adopts or starts the service."""
        return self.root / "launch.lock"

    @property
    def users(self) -> Path:
        """The file of which every program using an embedded service holds a shared lock."""
        return self.root / "users.lock"

    @property
    def clients(self) -> Path:
        """Like :attr:`users`, but never locked by the service: tells a program it is the last."""
        return self.root / "clients.lock"

    @property
    def log(self) -> Path:
        """The log of a service started by the library."""
        return self.root / "service.log"

    @property
    def supervisor_log(self) -> Path:
        """What the supervisors of tasks could tell nobody else; empty as a rule."""
        return self.root / "supervisors.log"

    @property
    def shares(self) -> Path:
        """The folder of all file shares, one folder per account in it."""
        return self.root / "shares"

    @property
    def nodes(self) -> Path:
        """The folder of all compute nodes, one folder per node in it."""
        return self.root / "nodes"

    @property
    def jobs(self) -> Path:
        """The folder of all running jobs, one folder per job in it."""
        return self.root / "jobs"

    @property
    def released(self) -> Path:
        """The folders of nodes and jobs that wait for their removal."""
        return self.root / "released"

    @property
    def volumes(self) -> Path:
        """The folder of the copies of remote volumes, one folder per cluster, job or node in it."""
        return self.root / "volumes"

    @property
    def file_servers(self) -> Path:
        """The folder of the disks of file servers, one folder per file server in it."""
        return self.root / "fileservers"

    def file_server(self, key: str, created_at: str) -> Path:
        """Return the folder that is a file server's disk, another for each server of the same id.

        Args:
            key: Its resource id in lower case.
            created_at: When it was made, as recorded.
        """
        name = hashlib.sha256(f"{key} {created_at}".encode()).hexdigest()[:32]
        return self.file_servers / name

    def volume_copy(self, owner: str, mount_path: str) -> Path:
        """Return the folder of the copy of a remote volume.

        Args:
            owner: The uid of the cluster or the job that mounts it.
            mount_path: Its relative mount path.
        """
        return self.volumes / owner / hashlib.sha256(mount_path.encode()).hexdigest()[:16]

    def share(self, account: str, share: str) -> Path:
        """Return the folder that is the given file share."""
        return self.shares / account / share

    def share_snapshots(self, account: str, share: str) -> Path:
        """Return the folder of all snapshots of a file share, one folder per snapshot in it."""
        # No share can have this name, since a share's starts with a letter or digit.
        return self.shares / account / ".snapshots" / share

    def share_snapshot(self, account: str, share: str, stamp: str) -> Path:
        """Return the folder that is the given snapshot of a file share."""
        return self.share_snapshots(account, share) / stamp


def write_private(path: Path, text: str) -> None:
    """Replace a file by new content that only its owner can read, all or nothing.

    Args:
        path: The file.
        text: Its new content.

    Raises:
        OSError: The file cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    try:
        os.fchmod(descriptor, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise

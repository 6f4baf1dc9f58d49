"""What copying needs of a share or a container."""

from datetime import datetime
from typing import BinaryIO, Protocol

from attrs import field, frozen


@frozen
class RemoteFile:
    """A file of a remote volume.

    Args:
        path: Where it is.
        size: Its size in bytes.
        version: Differs whenever its content differs.
        changed: When it was last changed, by the endpoint's clock; aware.
        written: When its writer last wrote it, where that is known; else as ``changed``.
    """

    path: str
    size: int
    version: str
    changed: datetime
    written: datetime


@frozen
class Listing:
    """Everything in a remote volume that can be a file or a directory here.

    Args:
        files: The files, by path.
        directories: The directories, those that only their files imply left out.
        skipped: Names that cannot be copied, and why.
    """

    files: dict[str, RemoteFile] = field(factory=dict)
    directories: set[str] = field(factory=set)
    skipped: dict[str, str] = field(factory=dict)


class RemoteVolume(Protocol):
    """A share or a container. Methods raise the errors of the Azure clients.

    Args:
        implies_directories: Whether a file's name makes the directories above it.
    """

    implies_directories: bool

    def check(self) -> None:
        """Ask for its properties, quickly, so that what is wrong with all of it is found first."""
        ...

    def listing(self) -> Listing:
        """List all of it."""
        ...

    def look(self, path: str) -> RemoteFile | None:
        """Return a file, or None where there is none."""
        ...

    def download(self, path: str, target: BinaryIO) -> RemoteFile:
        """Write a file's content into an open file; return what exactly was read."""
        ...

    def upload(
        self, path: str, source: BinaryIO, size: int, modified_ns: int, replaced: RemoteFile | None
    ) -> RemoteFile:
        """Put a file in place, all or nothing.

        Args:
            path: Where.
            source: What holds it, opened for reading.
            size: How many bytes to read.
            modified_ns: When it was last written.
            replaced: What was there a moment ago.

        Raises:
            ChangedMeanwhileError: What is there is not ``replaced`` any more.
        """
        ...

    def delete(self, file: RemoteFile) -> None:
        """Delete a file; one that is gone already is deleted well enough."""
        ...

    def make_directory(self, path: str) -> None:
        """Make a directory whose parent is there, if it is not there yet."""
        ...

    def remove_directory(self, path: str) -> None:
        """Remove a directory if it is there and empty."""
        ...

    def problem_of(self, path: str) -> str:
        """Say why the volume cannot hold a path of that name; empty when it can."""
        ...

    def folded(self, path: str) -> str:
        """Return what two paths have in common that mean the same file here."""
        ...

"""What is said of the copy of a share on a node that does not see the share's folder."""

from collections.abc import Mapping

from attrs import field, frozen


@frozen
class ShareSource:
    """A share, and where to get its files.

    Args:
        folder: Its folder on the service's machine, which names it.
        url: The share at the service's file endpoint.
        query: What permits reading it; a secret.
    """

    folder: str
    url: str
    query: str = field(repr=False)


@frozen
class FileState:
    """A file of a share as the service's machine has it.

    Args:
        size: Its size in bytes.
        modified_ns: When it was written, in nanoseconds.
        mode: Its permission bits.
        sha256: The hash of its content, in hexadecimal digits.
    """

    size: int
    modified_ns: int
    mode: int
    sha256: str


@frozen
class ShareState:
    """All of a share.

    Args:
        files: Its files, by path.
        folders: The paths of its folders, parents first.
    """

    files: Mapping[str, FileState]
    folders: tuple[str, ...]


@frozen
class Piece:
    """A piece of a file that was written on a node.

    Args:
        share: The folder of the share on the service's machine.
        path: The file's path in the share.
        offset: Where the piece begins; the file begins anew where that is 0.
        data: The piece.
        mode: The file's permission bits.
    """

    share: str
    path: str
    offset: int
    data: bytes = field(repr=False)
    mode: int = 0o644


@frozen
class MadeFolder:
    """A folder that was made on a node."""

    share: str
    path: str


@frozen
class RemovedFile:
    """A file that was removed on a node.

    Args:
        share: The folder of the share on the service's machine.
        path: The file's path in the share.
        origin: What it was when it was copied; None for a file of the node's own.
    """

    share: str
    path: str
    origin: FileState | None


Change = Piece | MadeFolder | RemovedFile

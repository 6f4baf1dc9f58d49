"""What a staging left on its share: each file with its size and hash."""

import json
from collections.abc import Iterable
from typing import Final

from attrs import frozen

_FORMAT: Final = 1


@frozen
class StagedContent:
    """A file on a share, as it was when it was staged.

    Args:
        path: Its path on the share.
        size: Its size in bytes.
        sha256: The SHA-256 of its content, in hexadecimal digits.
        etag: The entity tag that the file service gave to this content. Every later change of the
            file, also one by a job through the mount, gives it another.

    Example:
        >>> StagedContent("code/train.py", 7, sha256="00ff", etag="0x1").size
        7
    """

    path: str
    size: int
    sha256: str
    etag: str


@frozen
class StagedManifest:
    """What a staging put on its share, or found there unchanged.

    Args:
        share: The share's name.
        files: Every file of the staging, in the staging's order.
        sent: The paths of those that were uploaded; the others were there already.

    Example:
        >>> manifest = StagedManifest("demo", (StagedContent("code/a.py", 7, "00ff", "0x1"),))
        >>> manifest.size
        7
        >>> manifest["code/a.py"].sha256
        '00ff'
    """

    share: str
    files: tuple[StagedContent, ...]
    sent: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """The size of all files together, in bytes."""
        return sum(file.size for file in self.files)

    def __getitem__(self, path: str) -> StagedContent:
        for file in self.files:
            if file.path == path:
                return file
        raise KeyError(path)


def index_to_json(files: Iterable[StagedContent]) -> bytes:
    """Write the index of staged files that is kept on the share.

    Args:
        files: The files.
    """
    rows = {file.path: [file.size, file.sha256, file.etag] for file in files}
    return json.dumps({"format": _FORMAT, "files": rows}, ensure_ascii=False).encode()


def index_from_json(text: bytes) -> dict[str, StagedContent]:
    """Read the index of staged files that is kept on the share.

    Args:
        text: What the share holds.

    Returns:
        The files by path; none where the index is damaged, half written or of another format, since
        then every file can be sent again.

    Example:
        >>> file = StagedContent("a.py", 7, "00ff", "0x1")
        >>> index_from_json(index_to_json([file])) == {"a.py": file}
        True
        >>> index_from_json(b"{")
        {}
    """
    try:
        index = json.loads(text)
        if index["format"] != _FORMAT:
            return {}
        return {
            str(path): StagedContent(str(path), int(size), str(sha256), str(etag))
            for path, (size, sha256, etag) in index["files"].items()
        }
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}

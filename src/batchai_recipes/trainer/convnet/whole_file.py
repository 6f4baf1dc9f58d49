"""Files that a reader finds whole or not at all, also after a crash of the machine."""

import os
import uuid
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator

TEMPORARY_SUFFIX = ".tmp"


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give a temporary path to write to, which takes the place of a file when all went well.

    Args:
        path: The file; replaced if it exists.

    Raises:
        OSError: The file cannot be replaced.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with whole_file(Path(folder, "model")) as temporary:
        ...         _ = temporary.write_text("weights")
        ...     [file.name for file in Path(folder).iterdir()]
        ['model']
    """
    temporary = temporary_beside(path)
    try:
        yield temporary
        sync(temporary)
        temporary.replace(path)
    finally:
        if temporary.exists():
            temporary.unlink()


def temporary_beside(path: Path) -> Path:
    """Return a path in the same folder that nobody else, on this node or another, will choose."""
    return path.with_name(".{}.{}{}".format(path.name, uuid.uuid4().hex[:12], TEMPORARY_SUFFIX))


def sync(path: Path) -> None:
    """Wait until a file or folder is on the disk, so that a rename cannot overtake its content."""
    descriptor = os.open(str(path), os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

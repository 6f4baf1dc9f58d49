"""The end of a file that a task writes, such as its standard error."""

import os
from pathlib import Path

from attrs import frozen


@frozen
class FileEnd:
    """The last bytes of a file.

    Args:
        content: The bytes.
        is_all: Whether that is the whole file.
    """

    content: bytes = b""
    is_all: bool = True

    @classmethod
    def of(cls, path: Path, most_bytes: int) -> "FileEnd":
        r"""Read the end of a file.

        Args:
            path: The file.
            most_bytes: How much of it.

        Returns:
            Its end; nothing where there is no file, or something that has no end, such as a FIFO.

        Example:
            >>> import tempfile
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     log = Path(folder, "stderr.txt")
            ...     _ = log.write_bytes(b"one\ntwo\n")
            ...     FileEnd.of(log, 4)
            FileEnd(content=b'two\n', is_all=False)
        """
        try:
            with open(path, "rb", opener=_without_waiting) as file:
                start = max(file.seek(0, os.SEEK_END) - most_bytes, 0)
                file.seek(start)
                return cls(file.read(most_bytes), start == 0)
        except OSError:
            return cls()


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)

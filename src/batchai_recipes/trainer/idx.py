"""IDX, the format in which MNIST is published: a short header and bytes, often compressed."""

import gzip
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from batchai_recipes.trainer.errors import DataError

# Two zero bytes, 8 for unsigned bytes, and the number of dimensions.
_IMAGES_MAGIC = 0x0803
_LABELS_MAGIC = 0x0801

_GZIP_MAGIC = b"\x1f\x8b"
_PIECE_BYTES = 1 << 20


def read_idx_images(path: Path) -> NDArray[np.uint8]:
    """Read images from an IDX file, compressed by gzip or not.

    Args:
        path: The file.

    Returns:
        The images as an array of count x height x width grey levels.

    Raises:
        DataError: The file cannot be read or is not an IDX file of images.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder, "images-idx3-ubyte")
        ...     _ = file.write_bytes(struct.pack(">4I", 0x0803, 1, 2, 3) + bytes(range(6)))
        ...     read_idx_images(file).tolist()
        [[[0, 1, 2], [3, 4, 5]]]

    Source:
        https://yann.lecun.com/exdb/mnist/
    """
    return _read(path, _IMAGES_MAGIC, "images")


def read_idx_labels(path: Path) -> NDArray[np.uint8]:
    """Read labels from an IDX file, compressed by gzip or not.

    Args:
        path: The file.

    Returns:
        The labels, one byte each.

    Raises:
        DataError: The file cannot be read or is not an IDX file of labels.
    """
    return _read(path, _LABELS_MAGIC, "labels")


def _read(path: Path, magic: int, noun: str) -> NDArray[np.uint8]:
    dimensions = magic & 0xFF
    try:
        with _opened(path) as file:
            header = file.read(4 * (1 + dimensions))
            if len(header) < 4 * (1 + dimensions):
                raise DataError(f"{path}: too short for an IDX file of {noun}")
            found, *shape = struct.unpack(f">{1 + dimensions}I", header)
            if found != magic:
                raise DataError(
                    f"{path}: not an IDX file of {noun}: "
                    f"it begins with {found:#010x}, expected {magic:#010x}"
                )
            expected = int(np.prod(shape, dtype=object))
            # One byte more than there should be shows that there are too many.
            content = _read_at_most(file, expected + 1)
    except (OSError, EOFError, zlib.error) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise DataError(f"{path}: {reason}") from error
    if len(content) != expected:
        extent = "more" if len(content) > expected else f"only {len(content)}"
        raise DataError(
            f"{path}: the header says {' x '.join(map(str, shape))} bytes of {noun}, "
            f"but {extent} follow; copy or download the file again"
        )
    return np.frombuffer(content, dtype=np.uint8).reshape(shape)


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    with path.open("rb") as file:
        compressed = file.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC
        file.seek(0)
        if not compressed:
            yield file
            return
        with gzip.open(file) as unpacked:
            yield cast("BinaryIO", unpacked)


def _read_at_most(file: BinaryIO, size: int) -> bytes:
    """Read up to a size that a damaged header may have made absurd."""
    content = bytearray()
    while len(content) < size:
        piece = file.read(min(_PIECE_BYTES, size - len(content)))
        if not piece:
            break
        content += piece
    return bytes(content)

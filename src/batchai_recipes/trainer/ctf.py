"""CNTK's text format: one line of text per labelled image."""

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from batchai_recipes.trainer.errors import DataError

CLASSES = 10

# Rows are written in blocks of this many: a few MB of text.
_BLOCK_ROWS = 1000


def write_ctf(path: Path, images: NDArray[np.uint8], labels: NDArray[np.uint8]) -> None:
    """Write labelled images to a file in CNTK's text format.

    A line is ``|labels``, ten numbers of which one is 1, ``|features``, and the grey levels. The
    file appears whole or not at all.

    Args:
        path: The file; replaced if it exists.
        images: One row of grey levels, 0 to 255, per image.
        labels: The digit, 0 to 9, of each image.

    Raises:
        DataError: The arrays do not fit each other or the format, or the file cannot be written.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder, "two.txt")
        ...     write_ctf(file, np.array([[0, 255], [7, 80]], np.uint8), np.array([1, 9], np.uint8))
        ...     print(file.read_text(), end="")
        |labels 0 1 0 0 0 0 0 0 0 0 |features 0 255
        |labels 0 0 0 0 0 0 0 0 0 1 |features 7 80

    Source:
        https://learn.microsoft.com/cognitive-toolkit/brainscript-cntktextformat-reader
    """
    if images.dtype != np.uint8 or images.ndim != 2 or images.shape[1] == 0:  # noqa: PLR2004 -- a table
        raise DataError(f"images must be rows of bytes, not {images.dtype} of shape {images.shape}")
    if labels.shape != images.shape[:1]:
        raise DataError(f"{len(images)} images have labels of shape {labels.shape}")
    if len(labels) and not (labels.min() >= 0 and labels.max() < CLASSES):
        raise DataError(f"labels must be 0 to 9, not {labels.min()} to {labels.max()}")
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            for start in range(0, len(images), _BLOCK_ROWS):
                rows = slice(start, start + _BLOCK_ROWS)
                file.write(_lines(images[rows], labels[rows]))
        temporary.replace(path)
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}") from error
    finally:
        temporary.unlink(missing_ok=True)


def _lines(images: NDArray[np.uint8], labels: NDArray[np.uint8]) -> bytes:
    """Return the lines of some images.

    Every number is laid out as four bytes, its text and filling of zero bytes, looked up in a
    table of all grey levels; the filling is then removed in one pass. No number is formatted.
    """
    heads = _HEADS[labels]
    pixels = _followed_by(" ")[images]
    pixels[:, -1] = _followed_by("\n")[images[:, -1]]
    table = np.concatenate([heads, pixels.view(np.uint8)], axis=1)
    return table.tobytes().translate(None, b"\0")


def _followed_by(separator: str) -> NDArray[np.uint32]:
    """Return the texts of 0 to 255 with a separator, four bytes each seen as one number."""
    texts = b"".join(f"{level}{separator}".encode().ljust(4, b"\0") for level in range(256))
    return np.frombuffer(texts, dtype=np.uint32)


def _head(label: int) -> bytes:
    choice = " ".join("1" if digit == label else "0" for digit in range(CLASSES))
    return f"|labels {choice} |features ".encode()


_HEADS = np.stack([np.frombuffer(_head(label), dtype=np.uint8) for label in range(CLASSES)])

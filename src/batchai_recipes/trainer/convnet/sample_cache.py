"""Samples read from text once, and from then on mapped into memory from a file beside it."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

import numpy as np

from .ctf_text import read_ctf
from .errors import InputError
from .samples import CLASSES, PIXELS, Samples
from .whole_file import whole_file

if TYPE_CHECKING:
    from numpy.typing import NDArray

# A row is the label and the grey levels, bytes where these are whole numbers from 0 to 255.
COLUMNS = 1 + PIXELS
DTYPES = (np.dtype(np.uint8), np.dtype(np.float32))


def read_samples(path: Path) -> Samples:
    """Read a file of labelled images in CNTK's text format, or what an earlier run made of it.

    The cache, a hidden file beside the text, is named after the size and the time of the text, so
    that a changed text is read anew. Where the folder cannot be written to, there is none.

    Args:
        path: The file of text.

    Raises:
        InputError: The file cannot be read, or a line of it is malformed.
    """
    try:
        before = path.stat()
        cache = cache_of(path, before)
        rows = _mapped(cache)
        if rows is None:
            samples = read_ctf(path)
            after = path.stat()
            if cache_of(path, after) == cache:  # otherwise somebody wrote to it meanwhile
                _store(samples, cache)
                _remove_others(path, cache)
            return samples
    except OSError as error:
        raise InputError("{}: {}".format(path, error.strerror or error)) from None
    return Samples(rows[:, 1:], rows[:, 0].astype(np.int64))


def cache_of(path: Path, status: os.stat_result) -> Path:
    """Return where the cache of a text of this size and time is."""
    return path.with_name(".{}.{}-{}.npy".format(path.name, status.st_size, status.st_mtime_ns))


def _mapped(cache: Path) -> "Optional[NDArray[Any]]":
    """Map a cache; None where there is none, or none that can be used."""
    try:
        rows = np.load(str(cache), mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    if rows.ndim != 2 or rows.shape[1] != COLUMNS or rows.dtype not in DTYPES:  # noqa: PLR2004 -- a table
        return None
    return rows if len(rows) and rows[:, 0].max() < CLASSES else None


def _store(samples: Samples, cache: Path) -> None:
    rows = np.empty((len(samples), COLUMNS), dtype=samples.images.dtype)
    rows[:, 0] = samples.labels
    rows[:, 1:] = samples.images
    try:
        with whole_file(cache) as temporary, temporary.open("wb") as file:
            np.save(file, rows, allow_pickle=False)
    except OSError:
        return  # a folder that only can be read from, or a full one: the text is there


def _remove_others(path: Path, cache: Path) -> None:
    """Remove the caches of what the text was before."""
    prefix = ".{}.".format(path.name)
    for other in path.parent.iterdir():
        middle = other.name[len(prefix) : -len(".npy")]
        if (
            other.name.startswith(prefix)
            and other.name.endswith(".npy")
            and middle.replace("-", "", 1).isdigit()
            and other != cache
        ):
            try:
                other.unlink()
            except OSError:
                continue  # another process was faster, or it may not be removed

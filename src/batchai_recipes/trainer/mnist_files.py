"""Where the four files of MNIST are: in a folder that was named, in the cache, or on a mirror."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from attrs import frozen
from platformdirs import user_cache_path

from batchai_recipes.trainer.download import Progress, PublishedFile, download
from batchai_recipes.trainer.errors import DataError, DataUnavailableError

MIRRORS: Final[tuple[str, ...]] = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)
"""Public copies of the files, one kept by the PyTorch and one by the TensorFlow community."""

FOLDER_VARIABLE: Final = "BATCHAI_RECIPES_DATA"
"""The environment variable that names a folder with the four files."""

TIMEOUT_SECONDS: Final = 5.0
"""For how long a mirror may be silent, unless the caller says otherwise."""


@frozen
class MnistFiles:
    """The four files, compressed or not.

    Args:
        train_images: The 60,000 images to learn from.
        train_labels: What they show.
        test_images: The 10,000 images to test with.
        test_labels: What they show.
    """

    train_images: Path
    train_labels: Path
    test_images: Path
    test_labels: Path


PUBLISHED: Final[tuple[PublishedFile, ...]] = (
    PublishedFile(
        "train-images-idx3-ubyte.gz",
        9_912_422,
        "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    ),
    PublishedFile(
        "train-labels-idx1-ubyte.gz",
        28_881,
        "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    ),
    PublishedFile(
        "t10k-images-idx3-ubyte.gz",
        1_648_877,
        "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    ),
    PublishedFile(
        "t10k-labels-idx1-ubyte.gz",
        4_542,
        "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
    ),
)

ADVICE: Final = (
    f"Without a network, name a folder with the four files of MNIST ({FOLDER_VARIABLE} does), "
    "or use the digits that come with scikit-learn"
)


def find_mnist(
    *,
    source: Path | None = None,
    cache: Path | None = None,
    published: Sequence[PublishedFile] = PUBLISHED,
    mirrors: Sequence[str] = MIRRORS,
    progress: Progress | None = None,
    timeout_s: float = TIMEOUT_SECONDS,
) -> MnistFiles:
    """Return where the four files are, fetching those that are not on this machine.

    Args:
        source: A folder that has them; otherwise the one that ``BATCHAI_RECIPES_DATA`` names; and
            if neither is named, they come from the cache.
        cache: Where downloaded files are kept; otherwise ``mnist`` in the user's cache folder.
        published: What the mirrors offer, in the order of the fields of :class:`MnistFiles`.
        mirrors: Addresses, each ending in a slash, tried in this order.
        progress: Told how far each download is.
        timeout_s: For how many seconds a mirror may be silent.

    Raises:
        DataUnavailableError: The files are not here, and no mirror gave them.
        DataError: A folder was named that lacks some of the files, or the cache is not writable.
    """
    folder = source or _folder_of_environment(os.environ)
    if folder is not None:
        return _in_folder(folder, [file.name for file in published])
    if cache is None:
        cache = user_cache_path("batchai-recipes") / "mnist"
    try:
        return MnistFiles(
            *[
                download(file, cache, mirrors=mirrors, progress=progress, timeout_s=timeout_s)
                for file in published
            ]
        )
    except DataUnavailableError as error:
        raise DataUnavailableError(f"{error}\n{ADVICE}.") from error


def _folder_of_environment(environment: Mapping[str, str]) -> Path | None:
    value = environment.get(FOLDER_VARIABLE)
    return Path(value).expanduser() if value else None


def _in_folder(folder: Path, names: Sequence[str]) -> MnistFiles:
    found = [_first_there(folder, name) for name in names]
    missing = [name for name, path in zip(names, found, strict=True) if path is None]
    if missing:
        raise DataError(f"{folder}: lacks {', '.join(missing)} (compressed or not)")
    return MnistFiles(*[path for path in found if path is not None])


def _first_there(folder: Path, name: str) -> Path | None:
    """Return a file under its published name, or unpacked, in one of two spellings."""
    plain = name.removesuffix(".gz")
    for candidate in (name, plain, plain.replace("-idx", ".idx")):
        if (folder / candidate).is_file():
            return folder / candidate
    return None

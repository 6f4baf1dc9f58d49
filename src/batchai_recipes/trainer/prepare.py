"""Making the two text files that the training script reads.

NumPy and scikit-learn are an extra of this package, so what needs them is imported by the calls.
"""
# ruff: noqa: PLC0415 -- see above

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from attrs import frozen

from batchai_recipes.trainer.download import Progress
from batchai_recipes.trainer.errors import DataError
from batchai_recipes.trainer.mnist_files import MIRRORS, TIMEOUT_SECONDS, find_mnist

if TYPE_CHECKING:
    from batchai_recipes.trainer.dataset import DataSet

TRAIN_FILE: Final = "Train-28x28_cntk_text.txt"
TEST_FILE: Final = "Test-28x28_cntk_text.txt"

DataName = Literal["mnist", "digits"]


@frozen
class DataFiles:
    """The two files of a data set that the training script can read.

    Args:
        name: Which data set it is.
        train: The file to learn from.
        test: The file to test with.
        train_samples: How many samples the first one has.
        test_samples: How many samples the second one has.
    """

    name: DataName
    train: Path
    test: Path
    train_samples: int
    test_samples: int


def prepare_mnist(
    destination: Path,
    *,
    source: Path | None = None,
    cache: Path | None = None,
    mirrors: Sequence[str] = MIRRORS,
    progress: Progress | None = None,
    timeout_s: float = TIMEOUT_SECONDS,
) -> DataFiles:
    """Make the two files from MNIST, which is downloaded once unless it is on this machine.

    Args:
        destination: The folder for the two files, 130 MB; made when missing.
        source: A folder with the four files of MNIST, compressed or not. Otherwise the folder that
            ``BATCHAI_RECIPES_DATA`` names, otherwise the cache, otherwise a download to the cache.
        cache: Where downloaded files are kept; otherwise ``mnist`` in the user's cache folder.
        mirrors: Addresses to download from, each ending in a slash, tried in this order.
        progress: Called with the name of a file, the bytes of it that are here, and its size.
        timeout_s: For how many seconds a mirror may be silent.

    Raises:
        DataUnavailableError: MNIST is not on this machine, and no mirror gave it.
        DataError: Something that was found cannot be used, or the files cannot be written.
    """
    with _trainer_extra():
        from batchai_recipes.trainer.mnist import read_mnist
    files = find_mnist(
        source=source, cache=cache, mirrors=mirrors, progress=progress, timeout_s=timeout_s
    )
    return _write("mnist", read_mnist(files), destination)


def prepare_digits(destination: Path) -> DataFiles:
    """Make the two files from the 1,797 digits that come with scikit-learn, without a network.

    Args:
        destination: The folder for the two files, 3 MB; made when missing.

    Raises:
        DataError: scikit-learn is not installed, or the files cannot be written.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     files = prepare_digits(Path(folder))
        >>> files.train.name, files.train_samples, files.test_samples
        ('Train-28x28_cntk_text.txt', 1500, 297)
    """
    with _trainer_extra():
        from batchai_recipes.trainer.digits import read_digits
    return _write("digits", read_digits(), destination)


def _write(name: DataName, data: "DataSet", destination: Path) -> DataFiles:
    from batchai_recipes.trainer.ctf import write_ctf

    try:
        destination.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{destination}: {error.strerror or error}") from error
    files = DataFiles(
        name=name,
        train=destination / TRAIN_FILE,
        test=destination / TEST_FILE,
        train_samples=len(data.train.labels),
        test_samples=len(data.test.labels),
    )
    write_ctf(files.train, data.train.images, data.train.labels)
    write_ctf(files.test, data.test.images, data.test.labels)
    return files


@contextmanager
def _trainer_extra() -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise DataError(
            "preparing data needs NumPy and scikit-learn: "
            f'pip install "batchai-recipes[trainer]" ({error})'
        ) from error

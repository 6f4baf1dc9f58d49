"""MNIST: 70,000 handwritten digits, read from its four files."""

from pathlib import Path

from batchai_recipes.trainer.dataset import DataSet, Samples
from batchai_recipes.trainer.errors import DataError
from batchai_recipes.trainer.idx import read_idx_images, read_idx_labels
from batchai_recipes.trainer.mnist_files import MnistFiles

_SIDE = 28


def read_mnist(files: MnistFiles) -> DataSet:
    """Read the four files.

    How many samples there are is not looked at, so that a part of MNIST will do, and so will any
    other data set of its form.

    Args:
        files: Where they are.

    Raises:
        DataError: A file cannot be used; says which and why.
    """
    return DataSet(
        train=_samples(files.train_images, files.train_labels),
        test=_samples(files.test_images, files.test_labels),
    )


def _samples(images_file: Path, labels_file: Path) -> Samples:
    images = read_idx_images(images_file)
    labels = read_idx_labels(labels_file)
    count, height, width = images.shape
    if (height, width) != (_SIDE, _SIDE):
        raise DataError(f"{images_file}: the images are {height} x {width}, expected 28 x 28")
    if count == 0:
        raise DataError(f"{images_file}: holds no images")
    if count != len(labels):
        raise DataError(f"{labels_file}: {len(labels)} labels for the {count} of {images_file}")
    return Samples(images.reshape(count, _SIDE * _SIDE), labels)

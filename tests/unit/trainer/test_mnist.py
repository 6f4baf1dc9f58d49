"""Tests of `batchai_recipes.trainer.mnist`."""

import gzip
import struct

import pytest

from batchai_recipes.trainer.errors import DataError
from batchai_recipes.trainer.mnist import read_mnist
from batchai_recipes.trainer.mnist_files import find_mnist


def test_the_files_become_a_data_set(mnist_folder):
    """Each image is a row of 784 grey levels beside its label."""
    files = find_mnist(source=mnist_folder)
    raw = gzip.decompress(files.test_images.read_bytes())

    data = read_mnist(files)

    assert data.train.images.shape == (3, 784)
    assert data.train.labels.tolist() == [0, 1, 2]
    assert raw[16:] == data.test.images.tobytes()
    assert data.test.labels.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        (
            "train-images-idx3-ubyte.gz",
            struct.pack(">4I", 0x0803, 3, 27, 28) + bytes(3 * 27 * 28),
            "the images are 27 x 28, expected 28 x 28",
        ),
        ("t10k-images-idx3-ubyte.gz", struct.pack(">4I", 0x0803, 0, 28, 28), "holds no images"),
        ("t10k-labels-idx1-ubyte.gz", struct.pack(">2I", 0x0801, 1) + b"\7", "1 labels for the 2"),
    ],
)
def test_files_that_do_not_fit_are_refused(mnist_folder, name, content, complaint):
    """Sound files that are not MNIST's, or not of the same set, are refused by name."""
    (mnist_folder / name).write_bytes(gzip.compress(content))

    with pytest.raises(DataError) as refusal:
        read_mnist(find_mnist(source=mnist_folder))

    assert str(refusal.value).startswith(f"{mnist_folder / name}: {complaint}")

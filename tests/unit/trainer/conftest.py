"""What several tests of the trainer need."""

import gzip
import os
import struct
from pathlib import Path

import pytest

from batchai_recipes.trainer.mnist_files import FOLDER_VARIABLE
from batchai_recipes.trainer.prepare import DataFiles, prepare_digits


@pytest.fixture(autouse=True)
def no_data_folder_named(monkeypatch):
    """The environment of whoever runs the tests names no data."""
    monkeypatch.delenv(FOLDER_VARIABLE, raising=False)


@pytest.fixture(scope="session")
def digit_files(tmp_path_factory) -> DataFiles:
    """The two files of scikit-learn's digits; only to be read."""
    return prepare_digits(tmp_path_factory.mktemp("digits"))


@pytest.fixture
def mnist_folder(tmp_path) -> Path:
    """A folder with four small files in MNIST's form: 3 images to learn and 2 to test with."""
    folder = tmp_path / "mnist"
    folder.mkdir()
    for part, count in (("train", 3), ("t10k", 2)):
        images = struct.pack(">4I", 0x0803, count, 28, 28) + os.urandom(count * 784)
        labels = struct.pack(">2I", 0x0801, count) + bytes(range(count))
        (folder / f"{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(images))
        (folder / f"{part}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(labels))
    return folder

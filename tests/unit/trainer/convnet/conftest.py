"""What several tests of the training program need."""

import numpy as np
import pytest

from batchai_recipes.trainer.convnet.samples import Samples
from batchai_recipes.trainer.ctf import write_ctf
from batchai_recipes.trainer.prepare import TEST_FILE, TRAIN_FILE


@pytest.fixture
def samples():
    """A few random images."""
    random = np.random.default_rng(1)
    images = random.integers(0, 256, (100, 784), dtype=np.uint8)
    return Samples(images, random.integers(0, 10, 100))


@pytest.fixture
def data_folder(tmp_path, samples):
    """A folder with the program's two files, of a few random images."""
    folder = tmp_path / "data"
    folder.mkdir()
    for name in (TRAIN_FILE, TEST_FILE):
        write_ctf(folder / name, samples.images, samples.labels.astype(np.uint8))
    return folder


@pytest.fixture
def one_process(monkeypatch):
    """No other process takes part, whatever started the tests."""
    for name in ("RANK", "WORLD_SIZE", "OMPI_COMM_WORLD_SIZE", "PMI_SIZE"):
        monkeypatch.delenv(name, raising=False)

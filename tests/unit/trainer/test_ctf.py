"""Tests of `batchai_recipes.trainer.ctf`, and of how the training script reads what it writes."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from batchai_recipes.trainer.convnet.ctf_text import read_ctf
from batchai_recipes.trainer.ctf import write_ctf
from batchai_recipes.trainer.errors import DataError


def image_table(rows, columns=784):
    """Return images of all grey levels."""
    return (np.arange(rows * columns) % 256).astype(np.uint8).reshape(rows, columns)


@given(st.data(), st.integers(min_value=1, max_value=4))
def test_what_is_written_is_read(data, count):
    """The training script reads every image and label that was written, in order."""
    images = data.draw(arrays(np.uint8, (count, 784)))
    labels = data.draw(arrays(np.uint8, count, elements=st.integers(0, 9)))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "samples.txt")
        write_ctf(file, images, labels)
        samples = read_ctf(file)

    np.testing.assert_array_equal(images, samples.images)
    np.testing.assert_array_equal(labels, samples.labels)
    assert np.uint8 == samples.images.dtype


def test_many_samples_are_written(tmp_path):
    """More samples than are written at a time keep their order."""
    images = image_table(2500)
    labels = (np.arange(2500) % 10).astype(np.uint8)

    write_ctf(tmp_path / "samples.txt", images, labels)
    samples = read_ctf(tmp_path / "samples.txt")

    np.testing.assert_array_equal(images, samples.images)
    np.testing.assert_array_equal(labels, samples.labels)


@pytest.mark.parametrize(
    ("images", "labels", "complaint"),
    [
        (image_table(2).astype(float), np.zeros(2, np.uint8), "rows of bytes, not float64"),
        (image_table(2).ravel(), np.zeros(2, np.uint8), r"rows of bytes, not uint8 of shape"),
        (image_table(2, 0), np.zeros(2, np.uint8), r"rows of bytes, not uint8 of shape \(2, 0\)"),
        (image_table(2), np.zeros(3, np.uint8), r"2 images have labels of shape \(3,\)"),
        (image_table(2), np.array([0, 10], np.uint8), "labels must be 0 to 9, not 0 to 10"),
    ],
)
def test_what_does_not_fit_the_format_is_refused(tmp_path, images, labels, complaint):
    """Arrays of another form are refused before anything is written."""
    with pytest.raises(DataError, match=complaint):
        write_ctf(tmp_path / "samples.txt", images, labels)

    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_nothing(tmp_path):
    """A file that cannot take its place is named, and its unfinished form is removed."""
    (tmp_path / "samples.txt").mkdir()

    with pytest.raises(DataError, match=r"samples.txt: Is a directory$"):
        write_ctf(tmp_path / "samples.txt", image_table(1), np.zeros(1, np.uint8))

    assert [path.name for path in tmp_path.iterdir()] == ["samples.txt"]

"""Tests of `batchai_recipes.trainer.prepare`."""

import sys

import pytest

from batchai_recipes.trainer.convnet import training
from batchai_recipes.trainer.convnet.ctf_text import read_ctf
from batchai_recipes.trainer.errors import DataError
from batchai_recipes.trainer.prepare import (
    TEST_FILE,
    TRAIN_FILE,
    DataFiles,
    prepare_digits,
    prepare_mnist,
)
from batchai_recipes.trainer.script import TRAINING_PACKAGE, TRAINING_SCRIPT


def test_mnist_is_prepared(mnist_folder, tmp_path):
    """The two files hold the samples of the four."""
    destination = tmp_path / "new" / "data"

    files = prepare_mnist(destination, source=mnist_folder)

    expected = DataFiles(
        name="mnist",
        train=destination / "Train-28x28_cntk_text.txt",
        test=destination / "Test-28x28_cntk_text.txt",
        train_samples=3,
        test_samples=2,
    )
    assert expected == files
    assert read_ctf(files.train).labels.tolist() == [0, 1, 2]
    assert read_ctf(files.test).labels.tolist() == [0, 1]
    assert {TRAIN_FILE, TEST_FILE} == {path.name for path in destination.iterdir()}


def test_digits_are_prepared(digit_files):
    """The two files hold scikit-learn's digits."""
    assert (
        digit_files.name,
        digit_files.train_samples,
        digit_files.test_samples,
    ) == ("digits", 1500, 297)
    assert len(read_ctf(digit_files.train)) == 1500
    assert len(read_ctf(digit_files.test)) == 297


@pytest.mark.parametrize("prepare", [prepare_mnist, prepare_digits])
def test_a_destination_that_is_no_folder_is_named(mnist_folder, tmp_path, monkeypatch, prepare):
    """A file where the folder should be is an error of data."""
    monkeypatch.setenv("BATCHAI_RECIPES_DATA", str(mnist_folder))
    (tmp_path / "data").write_text("")

    with pytest.raises(DataError, match=r"data: File exists$"):
        prepare(tmp_path / "data")


@pytest.mark.parametrize(
    ("missing", "module", "prepare"),
    [("numpy", "mnist", prepare_mnist), ("sklearn.datasets", "digits", prepare_digits)],
)
def test_the_error_without_the_extra_says_what_to_install(
    tmp_path, monkeypatch, missing, module, prepare
):
    """Who installed only the library learns of its extra."""
    monkeypatch.delitem(sys.modules, f"batchai_recipes.trainer.{module}", raising=False)
    for name in ("dataset", "idx", "ctf"):
        monkeypatch.delitem(sys.modules, f"batchai_recipes.trainer.{name}", raising=False)
    monkeypatch.setitem(sys.modules, missing, None)

    with pytest.raises(DataError, match=r'pip install "batchai-recipes\[trainer\]"'):
        prepare(tmp_path)


def test_script_and_preparation_agree_on_the_files():
    """The script, which imports nothing of the library, looks for the files that are made."""
    assert (TRAIN_FILE, TEST_FILE) == (training.TRAINING_FILE, training.TEST_FILE)
    assert TRAINING_SCRIPT.is_file()
    assert TRAINING_PACKAGE.is_dir()

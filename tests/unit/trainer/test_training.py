"""Whole trainings, run as a job runs them: the script alone, by an interpreter of its own."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from attrs import frozen

from batchai_recipes.trainer.prepare import prepare_mnist
from batchai_recipes.trainer.script import TRAINING_SCRIPT

pytest.importorskip("torch", reason="PyTorch is not installed")

MNIST = Path(__file__).parents[4] / "shared" / "mnist"

# An interpreter that can import CNTK, which no version of Python that this library supports can.
CNTK_PYTHON = os.environ.get("BATCHAI_RECIPES_TEST_CNTK_PYTHON", "")


@frozen
class Training:
    """What a training printed and made."""

    lines: list[str]
    errors: str
    models: set[str]

    @property
    def percent_wrong(self):
        """How many of the test's digits the network took for another."""
        result = re.fullmatch(r"Final Results: errs = (\d+\.\d\d)% \* \d+", self.lines[-1])
        assert result is not None
        return float(result[1])


@pytest.fixture
def train(tmp_path):
    """Run a copy of the script to its end."""

    def train(data, *options, python=sys.executable):
        shutil.copy(TRAINING_SCRIPT, tmp_path)
        done = subprocess.run(
            [python, TRAINING_SCRIPT.name, data, "models", *options],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        models = {path.name for path in (tmp_path / "models").iterdir()}
        return Training(done.stdout.splitlines(), done.stderr, models)

    return train


@pytest.mark.slow
def test_digits_are_learned(train, digit_files):
    """The quickstart's training on scikit-learn's digits reads nine of ten unknown digits."""
    training = train(digit_files.train.parent, "--epochs", "30")

    assert training.percent_wrong < 10
    assert training.errors == ""
    assert {f"ConvNet_MNIST_{number}.pt" for number in range(30)} == training.models
    epochs = training.lines[2:-1]
    assert len(epochs) == 30
    for number, line in enumerate(epochs, start=1):
        assert re.fullmatch(
            rf"Finished Epoch\[{number} of 30\]: \[Training\] loss = \d+\.\d{{6}} \* 1500, "
            r"metric = \d+\.\d\d% \* 1500 \d+\.\d{3}s \(\d+\.\d samples/s\)",
            line,
        )


@pytest.mark.slow
@pytest.mark.skipif(not MNIST.is_dir(), reason="the files of MNIST are not here")
def test_mnist_is_learned(train, tmp_path):
    """Two epochs on MNIST leave an error like CNTK's own, which was 1.62 %."""
    files = prepare_mnist(tmp_path / "data", source=MNIST)
    training = train(tmp_path / "data", "--epochs", "2")

    assert (files.train_samples, files.test_samples) == (60_000, 10_000)
    assert training.percent_wrong <= 2.5


@pytest.mark.slow
@pytest.mark.skipif(not CNTK_PYTHON, reason="BATCHAI_RECIPES_TEST_CNTK_PYTHON names no interpreter")
def test_digits_are_learned_by_cntk(train, digit_files):
    """CNTK itself, where there is one, learns as well."""
    training = train(digit_files.train.parent, "--epochs", "30", python=CNTK_PYTHON)

    assert training.lines[0].startswith("Engine: CNTK 2.")
    assert training.percent_wrong < 10
    assert {f"ConvNet_MNIST_{number}.dnn" for number in range(30)} == training.models

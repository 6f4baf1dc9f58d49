"""Whole trainings, run as a job runs them: the program alone, by an interpreter of its own."""

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from attrs import frozen

from batchai_recipes.trainer.prepare import DataFiles, prepare_digits
from batchai_recipes.trainer.script import TRAINING_PACKAGE, TRAINING_SCRIPT

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

# An interpreter that can import CNTK, which no version of Python that this library supports can.
MADE_BY_MAKE = Path(__file__).parents[2] / ".venv-cntk" / "bin" / "python"
CNTK_PYTHON = os.environ.get("BATCHAI_RECIPES_CNTK_PYTHON") or (
    str(MADE_BY_MAKE) if MADE_BY_MAKE.exists() else ""
)
needs_cntk = pytest.mark.skipif(not CNTK_PYTHON, reason="no Python with CNTK: run `make cntk`")

# How often a training is killed; a development machine may take its time for more.
KILLS = int(os.environ.get("BATCHAI_RECIPES_TEST_KILLS", "2"))

# One thread for each, because the tests run beside other work.
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


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


@pytest.fixture(scope="module")
def digit_files(tmp_path_factory) -> DataFiles:
    """The two files of scikit-learn's digits; only to be read."""
    return prepare_digits(tmp_path_factory.mktemp("digits"))


@pytest.fixture
def program(tmp_path):
    """A copy of the program, as it lies on a share."""
    shutil.copytree(TRAINING_PACKAGE, tmp_path / "convnet")
    return shutil.copy(TRAINING_SCRIPT, tmp_path)


@pytest.fixture
def train(tmp_path, program):
    """Run the program to its end."""

    def train(data, *options, python=sys.executable, models="models"):
        done = subprocess.run(
            [python, program, data, models, *options],
            cwd=tmp_path,
            env=ENVIRONMENT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        made = {path.name for path in (tmp_path / models).iterdir()}
        return Training(done.stdout.splitlines(), done.stderr, made)

    return train


@pytest.mark.slow
def test_digits_are_learned(train, digit_files):
    """The quickstart's training on scikit-learn's digits reads nine of ten unknown digits."""
    training = train(digit_files.train.parent, "--epochs", "30")

    assert training.percent_wrong < 10
    assert training.errors == ""
    assert {
        *(f"ConvNet_MNIST_{number}.pt" for number in range(30)),
        *("ConvNet_MNIST.onnx", "checkpoints", "metrics.jsonl"),
    } == training.models
    epochs = training.lines[2:-1]
    assert len(epochs) == 30
    for number, line in enumerate(epochs, start=1):
        assert re.fullmatch(
            rf"Finished Epoch\[{number} of 30\]: \[Training\] loss = \d+\.\d{{6}} \* 1500, "
            r"metric = \d+\.\d\d% \* 1500 \d+\.\d{3}s \(\d+\.\d samples/s\)",
            line,
        )


def kill_somewhere(command, folder, epochs, dice):
    """Start a training and kill it in or shortly after some epoch, or while it starts."""
    with subprocess.Popen(
        command, cwd=folder, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        wanted = dice.randrange(epochs)
        for line in process.stdout:
            if line.startswith("Finished Epoch"):
                wanted -= 1
            if wanted < 0:
                break
        try:
            process.wait(dice.uniform(0, 0.3))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)


def assert_nothing_torn(models, load):
    """Every checkpoint and model that has its name can be read."""
    for checkpoint in (models / "checkpoints").glob("epoch_*"):
        progress = json.loads((checkpoint / "progress.json").read_text())
        assert len(progress["records"]) == int(checkpoint.name.removeprefix("epoch_"))
        load(checkpoint / "state")
    for model in models.glob("ConvNet_MNIST_*.pt"):
        load(model)
    metrics = models / "metrics.jsonl"
    if metrics.exists():
        assert all(json.loads(line) for line in metrics.read_text().splitlines())


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_training_that_is_killed_again_and_again_ends_as_an_undisturbed_one(
    train, program, tmp_path, digit_files
):
    """At random moments, by a signal that it cannot see: to the last bit, with nothing torn."""
    options = ("--epochs", str(4 * KILLS), "--minibatch-size", "32", "--resume")
    data = digit_files.train.parent
    expected = train(data, *options, models="undisturbed")
    dice = random.Random(KILLS)
    models = tmp_path / "killed"
    for _ in range(KILLS):
        kill_somewhere([sys.executable, program, data, models, *options], tmp_path, 6, dice)
        assert_nothing_torn(models, torch.load)

    ended = train(data, *options, models="killed")

    assert ended.lines[-1] == expected.lines[-1]
    assert list(models.glob(".*")) == []
    for name in (f"ConvNet_MNIST_{4 * KILLS - 1}.pt", "ConvNet_MNIST.onnx"):
        assert (models / name).read_bytes() == (tmp_path / "undisturbed" / name).read_bytes()


@pytest.mark.slow
@pytest.mark.timeout(1200)
@needs_cntk
def test_cntk_learns_also_when_it_is_killed_on_the_way(train, program, tmp_path, digit_files):
    """It goes on with the schedule and the momentum that it had."""
    options = ("--epochs", "20", "--engine", "cntk", "--resume")
    data = digit_files.train.parent
    dice = random.Random(1)
    models = tmp_path / "models"
    command = [CNTK_PYTHON, program, data, models, *options]
    for _ in range(KILLS):
        kill_somewhere(command, tmp_path, 5, dice)
        assert_nothing_torn(models, Path.stat)

    ended = train(data, *options, python=CNTK_PYTHON)

    assert ended.lines[0].startswith("Engine: CNTK 2.")
    assert ended.percent_wrong < 15
    assert {
        *(f"ConvNet_MNIST_{number}.dnn" for number in range(20)),
        *("ConvNet_MNIST.onnx", "checkpoints", "metrics.jsonl"),
    } == ended.models
    epochs = [
        json.loads(line)["epoch"] for line in (models / "metrics.jsonl").read_text().splitlines()
    ]
    assert epochs == list(range(1, 21))

"""The training program as jobs of several processes, and the commands around it."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from batchai_recipes import (
    ClusterBuilder,
    CntkJobBuilder,
    Connection,
    FileShareStaging,
    PyTorchJobBuilder,
    TrainingSession,
)

pytest.importorskip("torch", reason="PyTorch is not installed")

from batchai_recipes.trainer.prepare import prepare_digits
from batchai_recipes.trainer.script import TRAINING_PACKAGE, TRAINING_SCRIPT

MADE_BY_MAKE = Path(__file__).parents[2] / ".venv-cntk" / "bin" / "python"
CNTK_PYTHON = os.environ.get("BATCHAI_RECIPES_CNTK_PYTHON") or (
    str(MADE_BY_MAKE) if MADE_BY_MAKE.exists() else ""
)
needs_cntk = pytest.mark.skipif(not CNTK_PYTHON, reason="no Python with CNTK: run `make cntk`")


class Bench:
    """A session on a cluster of two nodes, with the program and the digits on its share."""

    def __init__(self, session, folder):
        self.session = session
        self.folder = folder

    def train(self, job, *options):
        """Run a job to its end; return the metrics of its epochs and its standard output."""
        job = (
            job.input("SAMPLE", "$AZ_BATCHAI_MOUNT_ROOT/share/sample")
            .output("MODEL", suffix="Models")
            .script("$AZ_BATCHAI_INPUT_SAMPLE/ConvNet_MNIST.py")
            .args("$AZ_BATCHAI_INPUT_SAMPLE", "$AZ_BATCHAI_OUTPUT_MODEL", *options)
        )
        run = self.session.submit(job)
        lines = list(run.stream())
        run.wait()
        models = self.folder / job.name
        run.outputs("MODEL").download(models)
        metrics = (models / "metrics.jsonl").read_text().splitlines()
        return [json.loads(line) for line in metrics], lines, models


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    """A running session with two nodes, shared by the tests of this module."""
    folder = tmp_path_factory.mktemp("trainer")
    digits = prepare_digits(folder / "digits")
    staging = (
        FileShareStaging("data")
        .directory("sample")
        .upload(digits.train, digits.test, TRAINING_SCRIPT)
        .directory("sample/convnet")
        .upload_tree(TRAINING_PACKAGE, ignore=["__pycache__/"])
    )
    cluster = ClusterBuilder("c").vm_size("STANDARD_D1").nodes(2).mount(staging, at="share")
    with (
        Connection.embedded(folder / "state") as connection,
        TrainingSession(cluster, staging=staging, connection=connection) as session,
    ):
        yield Bench(session, folder)


@pytest.mark.slow
def test_two_nodes_of_pytorch_learn_what_one_does(bench):
    """At the same global minibatch: the same loss after an epoch, but for rounding."""
    options = ("--epochs", "1", "--engine", "torch")
    one, _, _ = bench.train(PyTorchJobBuilder("one"), *options)
    two, lines, models = bench.train(PyTorchJobBuilder("two").nodes(2), *options)

    assert lines[0].endswith(", 2 processes")
    assert len([line for line in lines if line.startswith("Finished Epoch")]) == 1
    assert two[0]["loss"] == pytest.approx(one[0]["loss"], abs=1e-3)
    assert {record["samples"] for record in (*one, *two)} == {1500}
    assert (models / "ConvNet_MNIST.onnx").stat().st_size


@pytest.mark.slow
@needs_cntk
@pytest.mark.skipif(not shutil.which("mpirun"), reason="Open MPI is not installed")
def test_two_processes_of_cntk_learn_what_one_does(bench):
    """With CNTK's data-parallel learner; dropout differs, and so does the loss a little."""
    options = ("--epochs", "2", "--engine", "cntk")
    job = CntkJobBuilder("single").python_interpreter(CNTK_PYTHON)
    one, _, _ = bench.train(job, *options)
    job = CntkJobBuilder("parallel").python_interpreter(CNTK_PYTHON).processes(2)
    two, lines, models = bench.train(job, *options)

    assert "Engine: CNTK 2.7, device: cpu, 2 processes" in lines
    assert len([line for line in lines if line.startswith("Finished Epoch")]) == 2
    assert two[0]["loss"] == pytest.approx(one[0]["loss"], abs=0.05)
    assert (models / "ConvNet_MNIST_1.dnn").stat().st_size


@needs_cntk
def test_the_quickstart_trains_with_cntk(command, environment, tmp_path, nothing_left):
    """By the interpreter that the job names; the model that comes back works."""
    environment["BATCHAI_RECIPES_CNTK_PYTHON"] = CNTK_PYTHON
    models = tmp_path / "m"
    done = command(
        *("quickstart", "--data", "digits", "--epochs", "2", "--engine", "cntk"),
        *("--models", str(models)),
    )

    assert done.returncode == 0, done.stderr
    assert "Engine: CNTK 2.7, device: cpu" in done.stdout
    assert (models / "ConvNet_MNIST_1.dnn").stat().st_size
    result = next(line for line in done.stdout.splitlines() if line.startswith("Final Results"))
    evaluated = command("evaluate", str(models), str(tmp_path / "cache/batchai-recipes/digits-ctf"))
    assert evaluated.stdout.partition(": ")[2].rstrip() == result.partition(": ")[2]
    for picture in ("training.png", "misclassified.png"):
        assert (models / picture).read_bytes().startswith(b"\x89PNG")
    nothing_left()


def test_what_make_cntk_lacks_is_said(tmp_path):
    """In one line: what is missing and how to get it."""
    done = subprocess.run(
        ["make", "cntk", f"CNTK_VENV={tmp_path / 'venv'}"],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHON36": "/nowhere/python"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode != 0
    error = next(line for line in done.stderr.splitlines() if line.startswith("Error: "))
    assert "PYTHON36=/nowhere/python" in error or "libopenmpi3" in error
    assert not (tmp_path / "venv").exists()

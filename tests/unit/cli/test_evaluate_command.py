"""`batchai-recipes evaluate`."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from batchai_recipes.cli.app import app

pytest.importorskip("onnx", reason="the extra `trainer` is not installed")
pytest.importorskip("torch", reason="the extra `trainer` is not installed")
pytest.importorskip("onnxruntime", reason="the extra `trainer` is not installed")

from batchai_recipes.trainer.convnet.torch_network import ConvNet
from batchai_recipes.trainer.convnet.torch_onnx import export_onnx
from batchai_recipes.trainer.ctf import write_ctf


@pytest.fixture
def files(tmp_path):
    """A model that was never trained, and black images that all look the same to it."""
    export_onnx(ConvNet(1), tmp_path / "ConvNet_MNIST.onnx")
    labels = (np.arange(50) % 10).astype(np.uint8)
    write_ctf(tmp_path / "Test-28x28_cntk_text.txt", np.zeros((50, 784), np.uint8), labels)
    return tmp_path


def run(*arguments):
    """Run the command in this process."""
    return CliRunner().invoke(app, ["evaluate", *map(str, arguments)])


def test_it_counts_what_was_taken_for_others(files):
    """In words, and in those of the training's last line."""
    done = run(files, files, "--pictures", files / "mistakes.png")

    assert done.exit_code == 0
    assert done.output == "45 of 50 digits taken for others: errs = 90.00% * 50\n"
    assert (files / "mistakes.png").stat().st_size > 1000


def test_what_cannot_be_used_is_told_in_one_line(files):
    """With status 1 and no traceback."""
    done = run(files / "nowhere.onnx", files)

    assert done.exit_code == 1
    assert done.output.startswith("Error: ")
    assert "nowhere.onnx: there is no such file" in done.output
    assert len(done.output.splitlines()) == 1


def test_the_result_as_json(files):
    """For scripts."""
    assert json.loads(run(files, files, "--json").stdout) == {
        "mistakes": 45,
        "count": 50,
        "errs": 0.9,
    }

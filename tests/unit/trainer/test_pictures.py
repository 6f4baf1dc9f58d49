"""Tests of `batchai_recipes.trainer.pictures`."""

import json
import sys

import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="the extra `trainer` is not installed")
image = pytest.importorskip("matplotlib.image")

from batchai_recipes.trainer.convnet.samples import Samples  # noqa: E402 - needs NumPy
from batchai_recipes.trainer.errors import DataError  # noqa: E402 - likewise
from batchai_recipes.trainer.evaluation import Evaluation  # noqa: E402 - likewise
from batchai_recipes.trainer.pictures import draw_mistakes, draw_training  # noqa: E402 - likewise


def evaluation(count, wrong):
    """Return an evaluation with some mistakes."""
    random = np.random.default_rng(1)
    labels = np.arange(count) % 10
    found = labels.copy()
    found[:wrong] = (found[:wrong] + 1) % 10
    images = random.integers(0, 256, (count, 784), dtype=np.uint8)
    return Evaluation(Samples(images, labels), found)


def write_metrics(file, losses):
    """Write the metrics of a training."""
    lines = [
        json.dumps({"epoch": epoch, "samples": 60000, "loss": loss, "error": loss / 4})
        for epoch, loss in enumerate(losses, start=1)
    ]
    file.write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize("losses", [[0.4], [0.4, 0.1], [0.4, 0.1, 0.01], [0.0, 0.0]])
def test_a_training_is_drawn(tmp_path, losses):
    """As a picture with something on it, also after one epoch and with nothing left to learn."""
    write_metrics(tmp_path / "metrics.jsonl", losses)

    draw_training(tmp_path / "metrics.jsonl", tmp_path / "training.png")

    drawn = image.imread(tmp_path / "training.png")
    assert drawn.shape[:2] == (462, 770)
    assert drawn.std() > 0.05


@pytest.mark.parametrize("text", [None, "", "hello\n", "{}\n", "[]\n"])
def test_metrics_that_cannot_be_read_are_named(tmp_path, text):
    """And no picture is drawn."""
    if text is not None:
        (tmp_path / "metrics.jsonl").write_text(text)

    with pytest.raises(DataError, match="metrics.jsonl: not the metrics of a training"):
        draw_training(tmp_path / "metrics.jsonl", tmp_path / "training.png")
    assert not (tmp_path / "training.png").exists()


@pytest.mark.parametrize(("wrong", "rows"), [(0, 1), (1, 1), (11, 2), (90, 6)])
def test_mistakes_are_drawn(tmp_path, wrong, rows):
    """Ten in a row, at most sixty; none at all give a picture that says so."""
    draw_mistakes(evaluation(100, wrong), tmp_path / "mistakes.png")

    height = image.imread(tmp_path / "mistakes.png").shape[0]
    assert height == pytest.approx(110 * (rows * 1.1 + 0.6), abs=1)


def test_a_place_that_cannot_be_written_to_is_named(tmp_path):
    """As in any other command."""
    with pytest.raises(DataError, match="nowhere/mistakes.png: No such file"):
        draw_mistakes(evaluation(10, 1), tmp_path / "nowhere" / "mistakes.png")


def test_the_error_without_the_extra_says_what_to_install(tmp_path, monkeypatch):
    """Who installed only the library learns of its extra."""
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)

    with pytest.raises(DataError, match=r'pip install "batchai-recipes\[trainer\]"'):
        draw_mistakes(evaluation(10, 1), tmp_path / "mistakes.png")

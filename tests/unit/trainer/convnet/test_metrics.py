"""Tests of `batchai_recipes.trainer.convnet.metrics`."""

import json

from batchai_recipes.trainer.convnet.metrics import record_of, write_metrics


def test_each_epoch_is_one_line_of_json(tmp_path):
    """With the names that the documentation lists."""
    records = [record_of(1, 200, 100.0, 5, 0.5), record_of(2, 200, 50.0, 1, 0.25)]

    write_metrics(tmp_path, records)

    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert records == [json.loads(line) for line in lines]
    assert records[1] == {
        "epoch": 2,
        "samples": 200,
        "loss": 0.25,
        "error": 0.005,
        "rate": 800.0,
        "seconds": 0.25,
    }

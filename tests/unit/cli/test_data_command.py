"""`batchai-recipes data`."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from batchai_recipes.cli.app import app

pytest.importorskip("sklearn", reason="the extra `trainer` is not installed")


def run(*arguments):
    """Run the command in this process."""
    return CliRunner().invoke(app, ["data", *map(str, arguments)])


def test_digits_come_without_a_network(tmp_path):
    """Both files, and how much is in them."""
    done = run("digits", tmp_path)

    assert done.exit_code == 0
    assert "Train-28x28_cntk_text.txt (1,500 samples)" in done.output
    assert "Test-28x28_cntk_text.txt (297 samples)" in done.output
    assert {path.name for path in tmp_path.iterdir()} == {
        "Train-28x28_cntk_text.txt",
        "Test-28x28_cntk_text.txt",
    }


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["digits", "{}", "--from", "{}"], 2, "--from goes with mnist"),
        (["mnist", "{}/out", "--from", "{}/missing"], 1, "missing"),
        (["mnist", "{}/out", "--from", "{}"], 1, "idx"),
    ],
)
def test_mistakes_are_named_without_a_traceback(tmp_path, arguments, code, message):
    """And nothing is written."""
    done = run(*(argument.format(tmp_path) for argument in arguments))

    assert done.exit_code == code
    assert message in done.output
    assert list(tmp_path.rglob("*.txt")) == []


def test_an_unknown_data_set_is_a_usage_error(tmp_path):
    """Typer's own message names the valid ones."""
    done = run("cifar", tmp_path)

    assert done.exit_code == 2
    assert "digits" in done.output


def test_the_result_as_json(tmp_path):
    """For scripts."""
    done = run("digits", tmp_path, "--json")
    written = json.loads(done.stdout)

    assert (written["name"], written["trainSamples"], written["testSamples"]) == (
        "digits",
        1500,
        297,
    )
    assert Path(written["train"]).parent == tmp_path

"""Metrics of a job, from lines of its log and from JSON lines."""

import json
import re
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchai_recipes import ConfigurationError, JobError, Metrics

LOG = (
    b"Finished Epoch[1 of 2]: loss = 0.5 * 60, saved\r\nnoise\n"
    b"Finished Epoch[2 of 2]: loss = 2.5e-1 * 60\n"
)
PATTERN = re.compile(r"Epoch\[(?P<epoch>\d+) of .*loss = (?P<loss>\S+)(?:.*(?P<note>saved))?")


def test_lines_of_the_log_become_records(files, run):
    """Numbers where they read as such."""
    files.contents = {"stdout.txt": LOG}
    metrics = run.metrics(PATTERN)

    assert metrics.columns == ("epoch", "loss", "note")
    assert metrics.numeric_columns == ("epoch", "loss")
    assert (metrics["epoch"], metrics["loss"]) == ([1, 2], [0.5, 0.25])
    assert [record["note"] for record in metrics] == ["saved", None]


def test_json_lines_are_found_in_the_output_directory_that_has_them(files, run):
    """Those of the trainer."""
    files.outputs = ["MODEL"]
    files.contents = {"metrics.jsonl": b'{"epoch": 1, "loss": 0.5}\n\n{"epoch": 2, "lo'}
    metrics = run.metrics()

    assert (len(metrics), metrics.records[0]) == (1, {"epoch": 1, "loss": 0.5})


def test_without_the_file_all_places_are_named(files, run):
    """And what to do."""
    files.outputs = ["MODEL"]

    with pytest.raises(JobError, match=r"'metrics.jsonl' in its output directories MODEL, std"):
        run.metrics()


@pytest.mark.parametrize("pattern", ["(", "no group", "(unnamed)", 7])
def test_a_pattern_without_named_groups_is_refused(run, pattern):
    """Before anything is asked."""
    with pytest.raises(ConfigurationError, match="regular expression|named group"):
        run.metrics(pattern)


@pytest.mark.parametrize("line", ["nonsense", "[1]", "7"])
def test_a_line_that_is_no_object_is_named_by_its_number(line):
    """Not by its content alone."""
    with pytest.raises(JobError, match=r"Line 2 of metrics\.jsonl"):
        Metrics.from_json_lines(f"{{}}\n{line}\n")


def test_columns_are_checked_with_the_nearest_name():
    """And words are no numbers."""
    metrics = Metrics(({"loss": 1, "note": "x"},))

    with pytest.raises(KeyError, match="did you mean 'loss'"):
        metrics["los"]
    with pytest.raises(ConfigurationError, match="not of numbers"):
        metrics.numbers("note")
    with pytest.raises(ConfigurationError, match="did you mean 'loss'"):
        metrics.plot("los")
    with pytest.raises(ConfigurationError, match="nothing|no columns"):
        Metrics().plot()


SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text())


@given(st.lists(st.dictionaries(st.text(), SCALARS)))
def test_json_lines_are_read_as_they_were_written(records):
    """Any record of simple values."""
    text = "".join(json.dumps(record) + "\n" for record in records)

    assert list(Metrics.from_json_lines(text)) == records


def test_a_data_frame_has_a_row_for_each_record():
    """And missing values where a record has none."""
    pytest.importorskip("pandas")
    frame = Metrics(({"epoch": 1, "loss": 0.5}, {"epoch": 2})).to_pandas()

    assert list(frame.columns) == ["epoch", "loss"]
    assert (len(frame), frame["loss"].isna().tolist()) == (2, [False, True])


@pytest.mark.parametrize(
    ("module", "call", "extra"),
    [("pandas", Metrics.to_pandas, "pandas"), ("matplotlib.figure", Metrics.plot, "plot")],
)
def test_an_extra_that_is_missing_is_named(monkeypatch, module, call, extra):
    """With the command that installs it."""
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.delitem(sys.modules, "batchai_recipes.runs.metrics_figure", raising=False)

    with pytest.raises(ConfigurationError, match=rf"batchai-recipes\[{extra}\]"):
        call(Metrics(({"loss": 1},)))


def test_metrics_are_drawn_over_what_counts_them(files, run):
    """A curve for each column of numbers, as a picture for notebooks too."""
    pytest.importorskip("matplotlib")
    files.contents = {"metrics.jsonl": b'{"loss": 2, "epoch": 1}\n{"loss": 1, "epoch": 2}\n'}
    figure = run.plot()
    (axes,) = figure.axes

    assert (axes.get_xlabel(), axes.get_ylabel()) == ("epoch", "loss")
    assert axes.lines[0].get_xydata().tolist() == [[1, 2], [2, 1]]
    assert figure._repr_png_().startswith(b"\x89PNG")
    assert [a.get_ylabel() for a in run.plot("epoch", "loss", x="loss").axes] == ["epoch", "loss"]

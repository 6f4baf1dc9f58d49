"""Tests of `batchai_recipes.trainer.convnet.ctf_text`."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from batchai_recipes.trainer.convnet import ctf_text
from batchai_recipes.trainer.convnet.ctf_text import read_ctf
from batchai_recipes.trainer.convnet.errors import InputError

ZEROS = " ".join(["0"] * 784)
LABELS = "|labels 0 0 1 0 0 0 0 0 0 0"
FEATURES = f"|features {ZEROS}"
GOOD = f"{LABELS} {FEATURES}"


def write(folder, text):
    """Write a file of data."""
    file = folder / "samples.txt"
    file.write_bytes(text.encode())
    return file


@pytest.mark.parametrize(
    "line",
    [
        GOOD,
        f"{FEATURES} {LABELS}",
        f"{GOOD}\r",
        f"  {GOOD}  ",
        f"7 {GOOD}",
        f"{GOOD} |# a comment",
        GOOD.replace(" ", "\t"),
        GOOD.replace("0", "0.0"),
        GOOD.replace("0", "000"),
    ],
)
@pytest.mark.parametrize("end", ["", "\n", "\n\n"])
def test_a_line_may_be_written_in_several_ways(tmp_path, line, end):
    """The order of fields, white space, numbers of sequences and comments do not matter."""
    samples = read_ctf(write(tmp_path, f"{GOOD}\n{line}{end}"))

    assert samples.labels.tolist() == [2, 2]
    np.testing.assert_array_equal(np.zeros((2, 784)), samples.images)


def test_grey_levels_may_be_fractions(tmp_path):
    """Other grey levels than whole ones are kept as they are."""
    line = GOOD.replace("|features 0 0", "|features 0.5 -1e3")

    samples = read_ctf(write(tmp_path, f"{line}\n"))

    assert samples.images[0, :3].tolist() == [0.5, -1000, 0]


@pytest.mark.parametrize("level", ["256", "999", "1000"])
def test_a_grey_level_above_the_brightest_does_not_wrap_round(tmp_path, level):
    """What does not fit a byte is not taken for a byte."""
    line = GOOD.replace("|features 0 ", f"|features {level} ")

    assert int(level) == read_ctf(write(tmp_path, f"{GOOD}\n{line}\n")).images[1, 0]


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("hello", "the field |labels is missing"),
        (LABELS, "the field |features is missing"),
        (f"{GOOD} |labels 1", "the field |labels stands there twice"),
        (GOOD[:-2], "783 values in |features, expected 784"),
        (f"{GOOD} 0", "785 values in |features, expected 784"),
        (f"|labels 1 |features {ZEROS}", "1 values in |labels, expected 10"),
        (GOOD.replace("|features 0", "|features x"), "'x' is not a number"),
        (GOOD.replace("|features 0", "|features nan"), "nan is not a finite number"),
        (GOOD.replace("|features 0", "|features \u00e4"), r"'\\xc3\\xa4' is not a number"),
        (
            GOOD.replace("|features 0", f"|features {'y' * 99}"),
            f"'{'y' * 26}... is not a number",
        ),
        (GOOD.replace("1", "0"), "the values in |labels are not a single 1 and otherwise 0"),
        (GOOD.replace("1", "2"), "the values in |labels are not a single 1 and otherwise 0"),
        (
            GOOD.replace("|labels 0", "|labels 1"),
            "the values in |labels are not a single 1 and otherwise 0",
        ),
    ],
)
def test_a_malformed_line_is_named(tmp_path, line, complaint):
    """The error is one line with the file, the line and what is wrong with it."""
    file = write(tmp_path, f"{GOOD}\n\n{line}\n{GOOD}\n")

    with pytest.raises(InputError) as refusal:
        read_ctf(file)

    assert f"{file}, line 3: {complaint}" == str(refusal.value)


def test_lines_are_counted_through_the_file(tmp_path, monkeypatch):
    """A file is read in blocks, of which the error shows nothing."""
    monkeypatch.setattr(ctf_text, "BLOCK_BYTES", 3 * len(GOOD) + 100)
    file = write(tmp_path, f"{GOOD}\n" * 10 + "bad\n")

    with pytest.raises(InputError, match="line 11: the field"):
        read_ctf(file)


def test_a_file_without_lines_is_refused(tmp_path, monkeypatch):
    """Something without line ends, such as an archive, is not read to its end as one line."""
    monkeypatch.setattr(ctf_text, "BLOCK_BYTES", 100)
    monkeypatch.setattr(ctf_text, "LONGEST_LINE", 1000)
    file = write(tmp_path, "hello\n" + "0" * 5000)

    with pytest.raises(InputError, match="line 2: no end of the line found"):
        read_ctf(file)


@pytest.mark.parametrize("text", ["", "\n", "\n \n"])
def test_a_file_without_samples_is_refused(tmp_path, text):
    """There is nothing to learn from an empty file."""
    with pytest.raises(InputError, match="samples.txt: the file holds no samples"):
        read_ctf(write(tmp_path, text))


@st.composite
def damaged_blocks(draw):
    """Two lines of which some characters were replaced by others."""
    line = f"{LABELS} |features 0 {' '.join(['7 30 130'] * 261)}"
    block = bytearray(f"{line}\n{line}\n".encode())
    # Most of a line is numbers, and most of what can be wrong is elsewhere.
    start = draw(st.sampled_from([0, 25, len(line) - 10, len(line) + 20, 2 * len(line) - 10]))
    for _ in range(draw(st.integers(0, 4))):
        place = start + draw(st.integers(0, 30))
        block[min(place, len(block) - 2)] = draw(st.sampled_from(b"0123 456789|\n\r\tlf.-e"))
    return bytes(block)


@settings(max_examples=300)
@given(damaged_blocks())
def test_the_fast_way_agrees_with_the_careful_one(block):
    """Whatever the fast parser accepts, the careful parser reads the same."""
    fast = ctf_text._parse_regular(block)
    event("accepted" if fast else "left to the careful parser")
    if fast is not None:
        careful = ctf_text._parse_lines(block, Path("samples.txt"), 1)
        np.testing.assert_array_equal(careful.images, fast.images)
        np.testing.assert_array_equal(careful.labels, fast.labels)

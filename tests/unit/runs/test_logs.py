"""The text of logs, and their last lines."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchai_recipes import ConfigurationError, RequestError
from batchai_recipes.runs.output_reader import last_lines


def test_a_log_is_read_whole_or_its_end(files, run):
    """That of the first process where none is named."""
    files.contents = {"stdout-0.txt": "één\ntwo\nthree".encode(), "stderr-0.txt": b"oops\n"}

    assert run.logs() == "één\ntwo\nthree"
    assert run.logs(last=2) == "two\nthree"
    assert run.logs("stderr-0.txt", last=9) == "oops\n"
    assert run.logs("stderr*") == "oops\n"
    assert run.logs(last=0) == ""


def test_the_end_of_a_large_log_does_not_cost_all_of_it(files, run):
    """Only its last part is asked for."""
    files.contents = {"stdout.txt": b"".join(b"%07d\n" % n for n in range(1 << 20))}

    assert run.logs(last=1) == "1048575\n"
    assert len(files.asked) == 1


def test_a_log_that_is_not_there_is_named_with_the_nearest(files, run):
    """And what there is."""
    files.contents = {"stderr.txt": b""}

    with pytest.raises(RequestError, match=r"no file 'stder.txt'.*did you mean 'stderr.txt'"):
        run.logs("stder.txt")
    with pytest.raises(RequestError, match="no log 'stdout.txt'"):
        run.logs()
    with pytest.raises(ConfigurationError, match="last is -1"):
        run.logs(last=-1)


def test_a_pattern_of_several_logs_is_refused(files, run):
    """One text is of one log."""
    files.contents = {"stdout-0.txt": b"", "stdout-1.txt": b""}

    with pytest.raises(ConfigurationError, match="several logs"):
        run.logs("stdout-*.txt")


@given(st.binary().map(lambda b: b.replace(b"a", b"\n")), st.integers(0, 9), st.integers(1, 9))
def test_last_lines_are_those_of_the_whole_text(content, count, block):
    """Whatever the size of a block."""
    lines = io.BytesIO(content).readlines()

    assert last_lines(io.BytesIO(content), count, block=block) == b"".join(
        lines[-count:] if count else []
    )

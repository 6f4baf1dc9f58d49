"""Watching a job: its lines, then how it ended."""

import pytest

from batchai_recipes import JobFailedError


def test_lines_are_printed_plain_where_there_is_no_terminal(files, run, capsys, said):
    """Then the run is given back."""
    files.contents, files.state = {"stdout.txt": "één\ntwo\n".encode()}, "succeeded"

    assert run.watch() is run
    assert capsys.readouterr().out == "één\ntwo\n"
    assert said == ["Job state: succeeded"]


def test_a_job_that_failed_raises_after_its_lines(files, run, capsys):
    """Both are wanted."""
    files.contents = {"stdout.txt": b"one\n", "stderr.txt": b"oops\n"}
    files.state = "failed"

    with pytest.raises(JobFailedError, match="oops"):
        run.watch("std*.txt")
    assert capsys.readouterr().out == "stderr.txt: oops\nstdout.txt: one\n"

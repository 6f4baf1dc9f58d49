"""How far a transfer is, for people."""

import io
import sys

import pytest

from batchai_recipes.staging.progress import progress


class Terminal(io.StringIO):
    """An output that says it is a terminal."""

    def isatty(self):
        """Say so."""
        return True


def shown(output, monkeypatch):
    """Return what a transfer shows on an output."""
    monkeypatch.setattr(sys, "stdout", output)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    with progress("Uploading", 2_000_000) as advance:
        advance(1_000_000)
        advance(1_000_000)
    return output.getvalue()


def test_a_terminal_sees_a_bar_with_sizes(monkeypatch):
    """And what is being done."""
    text = shown(Terminal(), monkeypatch)

    assert ("Uploading" in text, "2.0/2.0 MB" in text) == (True, True)


def test_anything_else_sees_nothing(monkeypatch):
    """Logs are for lines."""
    assert shown(io.StringIO(), monkeypatch) == ""


def test_an_exception_of_the_block_comes_through(monkeypatch):
    """The bar goes."""
    monkeypatch.setattr(sys, "stdout", Terminal())

    with pytest.raises(ZeroDivisionError), progress("Uploading", 1):
        _ = 1 / 0

"""Tests of `batchai_recipes.cli.cntk_python`."""

import stat

import pytest

from batchai_recipes.cli import cntk_python as module
from batchai_recipes.cli.cntk_python import cntk_python
from batchai_recipes.errors import ConfigurationError


@pytest.fixture
def interpreter(tmp_path):
    """Make something that is started as an interpreter and ends with a status."""

    def make(folder, status=0, error=""):
        file = tmp_path / folder / "bin" / "python"
        file.parent.mkdir(parents=True)
        file.write_text(f"#!/bin/sh\necho '{error}' >&2\nexit {status}\n")
        file.chmod(stat.S_IRWXU)
        return file

    return make


def test_the_one_that_was_named_is_taken(interpreter):
    """Its path is made absolute, because the job runs elsewhere."""
    named = interpreter("mine")

    assert named == cntk_python(named)


def test_that_of_make_cntk_is_found(interpreter, tmp_path, monkeypatch):
    """Below the working directory."""
    made = interpreter(".venv-cntk")
    monkeypatch.chdir(tmp_path)

    assert made == cntk_python(None)


def test_without_one_it_says_how_to_make_it(tmp_path, monkeypatch):
    """Or how to name another."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(module, "_CHECKOUT", tmp_path)

    with pytest.raises(ConfigurationError, match="run `make cntk`.*BATCHAI_RECIPES_CNTK_PYTHON"):
        cntk_python(None)


def test_one_without_cntk_is_refused_with_its_reason(interpreter):
    """The last line of its traceback, which says what is missing."""
    named = interpreter("mine", 1, "ImportError: libmpi.so.12: cannot open shared object file")

    with pytest.raises(ConfigurationError, match=r"cannot import cntk \(ImportError: libmpi"):
        cntk_python(named)


def test_something_that_is_no_program_is_refused(tmp_path):
    """With the system's reason."""
    (tmp_path / "python").write_text("")

    with pytest.raises(ConfigurationError, match="Permission denied: run `make cntk`"):
        cntk_python(tmp_path / "python")

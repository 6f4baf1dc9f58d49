"""Tests of `batchai_recipes.trainer.cntk_environment`."""

import os
import stat
import subprocess
import sys

import pytest

from batchai_recipes.trainer import cntk_environment
from batchai_recipes.trainer.cntk_environment import (
    CntkEnvironmentError,
    find_libraries,
    find_python36,
)

LISTING = """\
2 libs found in cache `/etc/ld.so.cache'
\tlibmpi_cxx.so.40 (libc6,x86-64) => /usr/lib/x86_64-linux-gnu/libmpi_cxx.so.40
\tlibmpi.so.40 (libc6,x86-64) => /usr/lib/x86_64-linux-gnu/libmpi.so.40
\tlibmpi.so.40 (libc6) => /usr/lib32/libmpi.so.40
"""


@pytest.fixture
def program(tmp_path):
    """Make a program that ends with a status; a real Python 3.6 asked for its version gives 0."""

    def make(name, status=0):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"#!/bin/sh\nexit {status}\n")
        file.chmod(stat.S_IRWXU)
        return file

    return make


def test_open_mpis_libraries_are_found():
    """Those of 64 bits, under the names that CNTK asks for."""
    found = find_libraries(LISTING)

    assert {name: str(path) for name, path in found.items()} == {
        "libmpi.so.12": "/usr/lib/x86_64-linux-gnu/libmpi.so.40",
        "libmpi_cxx.so.1": "/usr/lib/x86_64-linux-gnu/libmpi_cxx.so.40",
    }


def test_a_missing_library_is_named_with_its_package():
    """As Debian calls it."""
    listing = "\n".join(line for line in LISTING.splitlines() if "cxx" not in line)

    with pytest.raises(CntkEnvironmentError, match=r"libmpi_cxx.so.40: .*libopenmpi3"):
        find_libraries(listing)


def test_a_python_that_was_named_is_taken(program):
    """PYTHON36 goes before PATH."""
    named, other = program("mine/python"), program("bin/python3.6")

    found = find_python36({"PYTHON36": str(named), "PATH": str(other.parent)})

    assert named == found


def test_a_python_that_was_named_but_is_another_is_refused(program):
    """And no other is taken in its place."""
    other = program("bin/python3.6")
    environment = {"PYTHON36": str(program("mine/python", 1)), "PATH": str(other.parent)}

    with pytest.raises(CntkEnvironmentError, match=r"^PYTHON36=.*is not a Python 3.6"):
        find_python36(environment)


def test_a_shim_that_does_not_start_is_passed_over(program, tmp_path):
    """Pyenv puts one on PATH for versions that are not chosen; the version itself is found."""
    shim = program("shims/python3.6", 127)
    real = program("pyenv/versions/3.6.15/bin/python")

    found = find_python36({"PATH": str(shim.parent), "PYENV_ROOT": str(tmp_path / "pyenv")})

    assert real == found


def test_without_a_python_36_it_says_how_to_get_one(tmp_path):
    """There are several ways."""
    with pytest.raises(CntkEnvironmentError, match="pyenv install"):
        find_python36({"PATH": "", "PYENV_ROOT": str(tmp_path)})


def test_it_runs_by_itself_and_ends_with_one_line(tmp_path):
    """With no package installed: it is what `make cntk` runs."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", cntk_environment.__file__, tmp_path / "venv"],
        env={**os.environ, "PYTHON36": "/nowhere/python"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1
    assert done.stderr.startswith("Error: ")
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "venv").exists()

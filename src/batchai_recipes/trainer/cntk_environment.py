"""Makes a virtual environment with CNTK 2.7, for jobs of `quickstart --engine cntk`.

    python cntk_environment.py FOLDER

CNTK's last release is of 2019: it has wheels up to CPython 3.6 on x86-64, and its libraries ask for
Open MPI by names of that time. Links of those names to the libraries of today are laid into CNTK's
own folder of libraries, where it looks first; so its interpreter needs no ``LD_LIBRARY_PATH``, and
neither do the processes that ``mpirun`` starts.

This runs by itself, with any Python that this library supports and nothing installed.
"""

import argparse
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, NoReturn

REQUIREMENTS: Final = ("cntk==2.7.post1", "numpy==1.19.5", "scipy==1.5.4")

# What CNTK asks for, and what it is called in Open MPI 4.
LIBRARIES: Final = {"libmpi.so.12": "libmpi.so.40", "libmpi_cxx.so.1": "libmpi_cxx.so.40"}

_VERSION_CHECK: Final = "import sys; sys.exit(sys.version_info[:2] != (3, 6))"


class CntkEnvironmentError(Exception):
    """The environment cannot be made; the text says what is missing and how to get it."""


def find_python36(environment: Mapping[str, str]) -> Path:
    """Find a Python 3.6: ``PYTHON36``, else one on ``PATH``, else one that pyenv installed.

    Args:
        environment: The variables of this process.

    Raises:
        CntkEnvironmentError: There is none that starts.
    """
    named = environment.get("PYTHON36")
    if named:
        found = shutil.which(named, path=environment.get("PATH"))
        if found is None or not _is_python36(Path(found)):
            raise CntkEnvironmentError(f"PYTHON36={named} is not a Python 3.6 that starts")
        return Path(found)
    for candidate in _candidates(environment):
        if _is_python36(candidate):
            return candidate
    raise CntkEnvironmentError(
        "CNTK 2.7 needs Python 3.6, and there is none on PATH or from pyenv: install one "
        "(`pyenv install 3.6.15`) or name one by PYTHON36=..."
    )


def find_libraries(listing: str) -> dict[str, Path]:
    """Find what CNTK's links must lead to in what ``ldconfig -p`` lists.

    Args:
        listing: The output of ``ldconfig -p``.

    Returns:
        Paths of Open MPI's libraries by the names that CNTK knows.

    Raises:
        CntkEnvironmentError: One is not installed.

    Example:
        >>> listing = "libmpi.so.40 (libc6,x86-64) => /lib/libmpi.so.40"
        >>> find_libraries(listing + chr(10) + listing.replace("mpi", "mpi_cxx"))["libmpi.so.12"]
        PosixPath('/lib/libmpi.so.40')
    """
    there = dict(re.findall(r"^\s*(\S+) \(libc6,x86-64.*?\) => (\S+)$", listing, re.MULTILINE))
    missing = [today for today in LIBRARIES.values() if today not in there]
    if missing:
        raise CntkEnvironmentError(
            f"CNTK needs Open MPI's {' and '.join(missing)}: install Open MPI 4 "
            "(`apt-get install libopenmpi3`)"
        )
    return {name: Path(there[today]) for name, today in LIBRARIES.items()}


def make_environment(folder: Path, python: Path, libraries: Mapping[str, Path]) -> Path:
    """Make the environment, or complete one that is there.

    Args:
        folder: Where to make it.
        python: A Python 3.6.
        libraries: What :func:`find_libraries` found.

    Returns:
        The environment's interpreter.

    Raises:
        CntkEnvironmentError: A step failed; its output was printed.
    """
    interpreter = folder.absolute() / "bin" / "python"
    if not interpreter.is_file():
        _run("makes no virtual environment", str(python), "-m", "venv", str(folder))
    pip = [str(interpreter), "-m", "pip", "--disable-pip-version-check", "install", "-q"]
    _run("cannot install CNTK", *pip, *REQUIREMENTS)
    packages = next(folder.glob("lib/python3.6/site-packages/cntk/libs"), None)
    if packages is None:
        raise CntkEnvironmentError(f"{folder} has no cntk/libs: delete the folder and try again")
    for name, library in libraries.items():
        link = packages / name
        if link.is_symlink():
            link.unlink()
        link.symlink_to(library)
    _run("cannot import CNTK", str(interpreter), "-W", "ignore", "-c", "import cntk")
    return interpreter


def main(arguments: list[str] | None = None) -> None:
    """Make the environment that the command line asks for."""
    parser = argparse.ArgumentParser(description="Make a virtual environment with CNTK 2.7.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--check", action="store_true", help="only tell whether it can be made")
    options = parser.parse_args(arguments)
    try:
        _check_platform()
        libraries = find_libraries(_listing())
        python = find_python36(os.environ)
        if options.check:
            return
        interpreter = make_environment(options.folder, python, libraries)
    except CntkEnvironmentError as error:
        _fail(str(error))
    sys.stdout.write("CNTK is ready: batchai-recipes quickstart --engine cntk\n")
    sys.stdout.write(f"Its interpreter: {interpreter}\n")


def _check_platform() -> None:
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        raise CntkEnvironmentError("CNTK 2.7 has wheels for Linux on x86-64 alone")


def _fail(message: str) -> NoReturn:
    sys.stdout.flush()
    sys.stderr.write(f"Error: {message}\n")
    sys.exit(1)


def _candidates(environment: Mapping[str, str]) -> Iterator[Path]:
    found = shutil.which("python3.6", path=environment.get("PATH"))
    if found:
        yield Path(found)
    root = environment.get("PYENV_ROOT") or str(Path.home() / ".pyenv")
    yield from sorted(Path(root).glob("versions/3.6.*/bin/python"), reverse=True)


def _is_python36(python: Path) -> bool:
    """Start it to see: pyenv's shims lie on ``PATH`` for versions that are not installed."""
    try:
        done = subprocess.run([python, "-c", _VERSION_CHECK], capture_output=True, check=False)  # noqa: S603 - an interpreter of the user's
    except OSError:
        return False
    return done.returncode == 0


def _listing() -> str:
    # Where it lies is not on every user's PATH.
    program = shutil.which("ldconfig") or "/sbin/ldconfig"
    try:
        return subprocess.run(  # noqa: S603 - the system's own
            [program, "-p"], capture_output=True, text=True, check=True
        ).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise CntkEnvironmentError(f"ldconfig does not list the libraries: {error}") from error


def _run(failure: str, *command: str) -> None:
    if subprocess.run(command, stdout=sys.stderr, check=False).returncode:  # noqa: S603 - see above
        raise CntkEnvironmentError(f"{command[0]} {failure}; see above")


if __name__ == "__main__":
    main()

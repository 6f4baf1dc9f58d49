"""Running the code blocks of a page, one after the other, in one namespace and one shell."""

import ast
import asyncio
import contextlib
import inspect
import io
import json
import os
import re
import shlex
import signal
import subprocess
import sys
from doctest import ELLIPSIS, OutputChecker
from pathlib import Path
from typing import Final

from documents.page import Block

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_END: Final = "--- the block has ended:"
# What is shown depends on when a state was looked at.
_STATES: Final = re.compile(r"(Job|Cluster) state: ")
_CODE_FLAGS: Final = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT


class PageRun:
    """The blocks of one page, run in a folder; variables are this process's and its shell's.

    Args:
        folder: The folder that the page works in.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._namespace: dict[str, object] = {"__name__": "__main__"}
        self._shell: subprocess.Popen[str] | None = None
        self._printed: str | None = None

    def run(self, block: Block) -> None:
        """Run a block, save it where it is a file, or compare it with what the last one printed.

        Raises:
            AssertionError: It failed, or printed something else.
        """
        if block.not_run:
            self._printed = None
        elif block.file:
            path = self._folder / block.file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.code)
            parse(block)
        elif block.language == "text":
            assert self._printed is not None, f"{block.place}: nothing ran whose output this is"
            compare(block, block.code, self._printed)
            self._printed = None
        elif block.language in {"python", "set-up"}:
            printed = self._run_python(block)
            self._printed = printed if block.language == "python" else self._printed
        elif block.background:
            self._run_shell(block, in_background(block.code, block.background))
        elif block.language == "sh":
            self._printed = self._run_shell(block, block.code)
        elif block.language == "console":
            self._run_console(block)
        else:
            parse(block)

    def close(self) -> None:
        """End the shell and all that it started."""
        if self._shell:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._shell.pid, signal.SIGTERM)
            self._shell.communicate()

    def _run_python(self, block: Block) -> str:
        lines = "\n" * (block.line - 1)
        code = compile(lines + block.code, str(block.page), "exec", flags=_CODE_FLAGS)
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            result = eval(code, self._namespace)
            if code.co_flags & inspect.CO_COROUTINE:
                asyncio.run(result)
        return printed.getvalue()

    def _run_console(self, block: Block) -> None:
        """Type each line after a dollar sign and compare what follows."""
        parts = re.split(r"^\$ ", block.code, flags=re.MULTILINE)
        assert parts[0] == "", f"{block.place}: begin with a dollar sign and a command"
        for part in parts[1:]:
            command, _, expected = part.partition("\n")
            while command.endswith("\\"):
                more, _, expected = expected.partition("\n")
                command += f"\n{more.removeprefix('> ')}"
            compare(block, expected, self._run_shell(block, command))

    def _run_shell(self, block: Block, code: str) -> str:
        if self._shell is None:
            self._shell = subprocess.Popen(
                ["bash", "--noprofile", "--norc"],
                cwd=self._folder,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
        assert self._shell.stdin
        assert self._shell.stdout
        # What the block starts reads nothing of what comes after it.
        # What it exports, blocks of Python see too.
        variables = self._folder / ".variables"
        self._shell.stdin.write(
            f"eval {shlex.quote(code)} </dev/null; status=$?\n"
            f"env -0 >{shlex.quote(str(variables))}\n"
            f"printf '\\n{_END} %d\\n' $status\n"
        )
        self._shell.stdin.flush()
        printed = ""
        for line in self._shell.stdout:
            if line.startswith(_END):
                status = line.removeprefix(_END).strip()
                assert status == "0", f"{block.place}: status {status}\n{code}\n{printed}"
                pairs = variables.read_text().rstrip("\0").split("\0")
                os.environ.update(pair.split("=", 1) for pair in pairs)
                return printed[:-1]  # the line break before the mark
            printed += line
        raise AssertionError(f"{block.place}: the shell ended\n{code}\n{printed}")


def in_background(code: str, ready: str) -> str:
    """Return a script that starts a program and waits until it has written a file, or ended."""
    return (
        f"{{ {code} }} >.background 2>&1 &\n"
        f"until [ -e {ready} ]; do\n"
        f"  kill -0 $! 2>/dev/null || {{ cat .background; exit 1; }}\n"
        f"  sleep 0.02\n"
        f"done\n"
    )


def parse(block: Block) -> None:
    """Read a block that is data.

    Raises:
        ValueError: It is not what it says, or nobody knows what to do with it.
    """
    readers = {
        "json": json.loads,
        "toml": tomllib.loads,
        "python": ast.parse,
        "sh": lambda code: subprocess.run(["bash", "-n"], input=code, text=True, check=True),
    }
    if block.language not in {*readers, "text"}:
        raise ValueError(f"{block.place}: {block.language} is not run: say why, or teach page_run")
    if block.language in readers:
        readers[block.language](block.code)


def compare(block: Block, expected: str, printed: str) -> None:
    """Compare what is shown with what was printed; ``...`` stands for anything.

    Raises:
        AssertionError: They differ.
    """
    shown, real = (
        "".join(line for line in text.splitlines(keepends=True) if not _STATES.match(line))
        for text in (expected, printed)
    )
    same = OutputChecker().check_output(shown, real, ELLIPSIS)
    assert same, f"{block.place} shows\n{expected}\nbut this was printed:\n{printed}"


def environment_for(state_dir: Path, cache: Path) -> dict[str, str]:
    """Return the variables of a user who has configured nothing, beside a service of the tests."""
    plain = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AZURE_", "BATCHAI_"))
    }
    return {
        **plain,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "BATCHAI_RECIPES_STATE_DIR": str(state_dir),
        "BATCHAI_RECIPES_PROFILE_FILE": os.devnull,
        "XDG_CACHE_HOME": str(cache),
        "PYTHONUNBUFFERED": "1",
        "OMP_NUM_THREADS": "1",
    }

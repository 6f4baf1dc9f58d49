"""How commands end, whatever ends them."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from batchai_recipes import (
    ClusterError,
    ConfigFileError,
    JobFailedError,
    RequestError,
    WaitTimeoutError,
    cli,
)
from batchai_recipes.cli import app as module
from batchai_recipes.cli.exit_code import MEANINGS, ExitCode, exit_code_of
from batchai_recipes.session.undo import clean_up_error


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigFileError("job.json", "nodeCont", "a typo"), 2),
        (JobFailedError("j", 7, [], ""), 3),
        (clean_up_error((RequestError("no"),)), 4),
        (WaitTimeoutError("too long"), 5),
        (RequestError("refused"), 1),
        (ClusterError("unusable"), 1),
        (OSError("disk"), 1),
    ],
)
def test_each_error_has_its_code(error, code, monkeypatch, capsys):
    """And is told on standard error in its own words, without a traceback."""
    assert exit_code_of(error) == code

    def app(**_):
        raise error

    monkeypatch.setattr(module, "app", app)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == code
    assert capsys.readouterr() == ("", f"Error: {error}\n")


def test_every_code_is_told_in_the_help(monkeypatch, capsys):
    """Of the command itself."""
    assert set(MEANINGS) == set(ExitCode)
    monkeypatch.setattr(sys, "argv", ["batchai-recipes", "--help"])
    monkeypatch.setenv("COLUMNS", "1000")
    with pytest.raises(SystemExit) as ended:
        cli.main()
    told = capsys.readouterr().out
    assert ended.value.code == 0
    assert [code for code, what in MEANINGS.items() if f"{code:d} {what}" not in told] == []


def test_the_manual_has_the_same_codes():
    """In its table."""
    page = (Path(__file__).parents[3] / "docs" / "command_line.md").read_text()
    rows = re.findall(r"^\| (\d+) \| (.+?) \|$", page, re.MULTILINE)
    assert rows == [(f"{code:d}", what) for code, what in MEANINGS.items()]


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["clster"], "Did you mean 'cluster'?"),
        (["job", "shw"], "Did you mean 'show'?"),
        (["cluster", "list", "--jsn"], "--json"),
        (["cluster", "scale", "c", "--nodes", "many"], "Invalid value for '--nodes'"),
    ],
)
def test_typos_are_answered_with_the_nearest_name(arguments, hint, monkeypatch, capsys):
    """With status 2, as every wrong argument."""
    monkeypatch.setattr(sys, "argv", ["batchai-recipes", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == ExitCode.WRONG_INPUT
    assert hint in capsys.readouterr().err


def test_a_reader_that_goes_away_ends_it_quietly():
    """As `| head` does."""
    program = (
        "import batchai_recipes.cli.app as module\n"
        "from batchai_recipes.cli import main\n"
        "from batchai_recipes.cli.console import say\n"
        "@module.app.command()\n"
        "def much():\n"
        "    for _ in range(1000): say('x' * 1000)\n"
        "main()\n"
    )
    read, write = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-c", program, "much"], stdout=write, stderr=subprocess.PIPE, text=True
    )
    os.close(write)
    os.read(read, 10)
    os.close(read)
    _, told = process.communicate()
    assert (process.returncode, told) == (ExitCode.BROKEN_PIPE, "")


def test_ctrl_c_while_it_loads_ends_it_quietly(monkeypatch, capsys):
    """Loading the commands takes long enough to be interrupted."""

    class Loading:
        def __getattr__(self, name):
            raise KeyboardInterrupt

    monkeypatch.setitem(sys.modules, "batchai_recipes.cli.app", Loading())
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == ExitCode.INTERRUPTED
    assert capsys.readouterr().err == ""


def test_the_clients_warnings_are_not_printed_beside_the_error():
    """What they log comes back as an error, which says what to do."""
    program = (
        "import logging, sys\n"
        "from batchai_recipes.cli import main\n"
        "try: main()\n"
        "finally: logging.getLogger('azure.identity').warning('beside')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "--version"], capture_output=True, text=True, check=True
    )
    assert done.stderr == ""


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script(shell):
    """That the shell of that name can read, and that names the command."""
    done = subprocess.run(
        [sys.executable, "-m", "batchai_recipes.cli"],
        env={
            **os.environ,
            "_BATCHAI_RECIPES_COMPLETE": f"source_{shell}",
        },
        capture_output=True,
        text=True,
        check=True,
    )
    assert "batchai-recipes" in done.stdout
    assert "_BATCHAI_RECIPES_COMPLETE" in done.stdout
    assert done.stderr == ""

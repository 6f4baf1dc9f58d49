"""What commands print."""

import contextlib
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from batchai_recipes import ConfigurationError, cli
from batchai_recipes.cli import app as module
from batchai_recipes.cli import console
from batchai_recipes.cli.console import confirm, show_properties, show_table


class Terminal(io.StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self):
        """Say so."""
        return True


def test_what_a_program_prints_is_in_a_pipe_at_once(monkeypatch):
    """The example that a command runs, for one; not when it has ended."""
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    with open(reader, "rb", buffering=0) as seen, open(writer, "w") as stdout:  # noqa: PTH123 - a pipe
        monkeypatch.setattr("sys.stdout", stdout)
        monkeypatch.setattr(module, "app", lambda **_: print("Created"))  # noqa: T201 - as examples do
        cli.main()
        assert seen.read(100) == b"Created\n"


def test_tables_are_plain_lines_where_nobody_looks(capsys):
    """With titles, so that a column can be found, and no spaces at the ends."""
    show_table(("Name", "VM size"), [("a", "STANDARD_NC6"), ("longer", None)])
    assert capsys.readouterr().out == "NAME    VM SIZE\na       STANDARD_NC6\nlonger\n"


def test_tables_are_drawn_in_a_terminal(monkeypatch):
    """What looks like markup is text."""
    terminal = Terminal()
    monkeypatch.setattr("sys.stdout", terminal)
    monkeypatch.setenv("COLUMNS", "80")
    show_table(("Name",), [("[red]a[/red]",)])
    assert "[red]a[/red]" in terminal.getvalue()
    assert "┃" in terminal.getvalue()


def test_properties_without_a_value_are_left_out(capsys):
    """Further lines of one stand below its first."""
    show_properties(
        [("Name", "a"), ("Errors", "one\ntwo"), ("Empty", ""), ("None", None), ("N", 0)]
    )
    assert capsys.readouterr().out == "Name:   a\nErrors: one\n        two\nN:      0\n"


def test_without_a_terminal_nothing_is_deleted_unasked(monkeypatch, capsys):
    """Unless it was said beforehand."""
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    with pytest.raises(SystemExit) as ended:
        confirm("Delete it?", yes=False)
    assert ended.value.code == 2
    assert "--yes" in capsys.readouterr().err
    confirm("Delete it?", yes=True)


@pytest.mark.parametrize(("answer", "done"), [(True, True), (False, False)])
def test_in_a_terminal_it_asks(monkeypatch, answer, done):
    """And does nothing on a no."""
    monkeypatch.setattr("sys.stdin", Terminal())
    monkeypatch.setattr(console.typer, "confirm", lambda *_, **__: answer)
    if done:
        confirm("Delete it?", yes=False)
    else:
        with pytest.raises(typer.Exit):
            confirm("Delete it?", yes=False)


@pytest.fixture
def full(monkeypatch):
    """A file on a disk that is full, in the place of a stream of the command."""
    monkeypatch.setattr("sys.argv", ["batchai-recipes", "job", "list"])

    with contextlib.ExitStack() as opened:

        def be(name):
            stream = opened.enter_context(Path("/dev/full").open("w"))
            monkeypatch.setattr(f"sys.{name}", stream)

        yield be


def test_a_result_that_cannot_be_written_is_an_error(full, monkeypatch, capsys):
    """It says where it should have gone, and nothing of it is tried again at exit."""
    full("stdout")
    monkeypatch.setattr(module, "app", lambda **_: console.say("a result"))
    with pytest.raises(SystemExit) as ended:
        cli.main()

    assert ended.value.code == 1
    assert capsys.readouterr().err == (
        "Error: [Errno 28] No space left on device: 'standard output'\n"
    )


def test_what_is_left_of_a_result_does_not_hide_an_error(full, monkeypatch, capsys):
    """That of the command is told, and its code is that of the command."""
    full("stdout")

    def half(**_):
        sys.stdout.write("half a line")
        raise ConfigurationError("a typo")

    monkeypatch.setattr(module, "app", half)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    sys.stdout.flush()  # as at exit

    assert ended.value.code == 2
    assert capsys.readouterr().err == "Error: a typo\n"


def test_an_error_that_nobody_can_be_told_ends_it_with_its_code(full, monkeypatch):
    """And with no other error."""
    full("stderr")

    def wrong(**_):
        raise ConfigurationError("a typo")

    monkeypatch.setattr(module, "app", wrong)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    sys.stderr.flush()

    assert ended.value.code == 2


def test_a_current_folder_that_was_deleted_is_named(tmp_path, monkeypatch, capsys):
    """The system's own words name no file."""
    folder = tmp_path / "gone"
    folder.mkdir()
    monkeypatch.chdir(folder)
    folder.rmdir()
    monkeypatch.setattr(module, "app", lambda **_: Path("file").resolve())
    with pytest.raises(SystemExit) as ended:
        cli.main()

    assert ended.value.code == 2
    assert "The current folder has been deleted: change" in capsys.readouterr().err


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_what_a_terminal_cannot_show_is_shown_by_number(encoding, monkeypatch):
    """Also half of a character, as in a file's name that is no text; the command goes on."""
    written = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(written, encoding))
    monkeypatch.setattr(module, "app", lambda **_: console.say("a \N{CHECK MARK} \udcff"))
    cli.main()

    check = b"\xe2\x9c\x93" if encoding == "utf-8" else b"\\u2713"
    assert written.getvalue() == b"a " + check + b" \\udcff\n"


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_streams_that_are_closed_lead_nowhere(closed, tmp_path):
    """No message takes the way of a result, and no file that is opened later that of a stream."""
    lines = """
import os, subprocess, sys
from batchai_recipes.cli.streams import open_missing
open_missing()
opened = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT)
print("a result", flush=True)
print("a message", file=sys.stderr, flush=True)
subprocess.run(["sh", "-c", "echo more; echo more >&2"], check=True)
assert sys.stdin.read() == ""
assert opened > 2
"""
    shell = f'"$0" -c "$1" "$2" {closed}'
    ended = subprocess.run(
        ["sh", "-c", shell, sys.executable, lines, str(tmp_path / "file")],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == (
        "" if ">&- " in f" {closed} ".replace("2>&-", "") else "a result\nmore\n"
    )
    assert ended.stderr == ("" if "2>&-" in closed else "a message\nmore\n")
    assert (tmp_path / "file").read_text() == ""

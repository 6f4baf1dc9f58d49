"""What commands print."""

import io
import os

import pytest
import typer

from batchai_recipes import cli
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

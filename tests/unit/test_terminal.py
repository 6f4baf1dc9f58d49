"""How long something has been waited for, for people."""

import io
import sys

from batchai_recipes.staging.progress import progress
from batchai_recipes.terminal import waiting


class Terminal(io.StringIO):
    """An output that says it is a terminal."""

    def isatty(self):
        """Say so."""
        return True


def become_terminal(monkeypatch):
    """Make standard output a terminal; pytest takes it back before a fixture's test begins."""
    import rich  # noqa: PLC0415 - loaded on first use
    from rich.console import Console  # noqa: PLC0415 - likewise

    output = Terminal()
    monkeypatch.setattr(sys, "stdout", output)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(rich, "_console", Console(width=120))
    return output


def test_a_terminal_sees_state_and_time(monkeypatch):
    """And how far it is, from lines that count epochs; what is printed stands above."""
    terminal = become_terminal(monkeypatch)
    with waiting("Job j") as shown:
        shown.state("running [x]")
        shown.line("Finished Epoch[3 of 4]: loss = 1")
        shown.line("nothing counted")
        sys.stdout.write("printed\n")
    text = terminal.getvalue()

    assert [part in text for part in ("Job j: running [x]", "3 of 4", "0:00:0", "printed")] == [
        *(True, True, True, True),
    ]
    with waiting("Job j") as shown:
        shown.state("running")
    assert "0/?" not in terminal.getvalue()


def test_a_terminal_has_room_for_one(monkeypatch):
    """Also where the program shows a bar of its own: none of it is an error."""
    from rich.progress import Progress  # noqa: PLC0415 - loaded on first use

    terminal = become_terminal(monkeypatch)
    with waiting("Job j") as first, waiting("Job k") as second, progress("Uploading", 9) as moved:
        first.state("running")
        second.state("queued")
        moved(9)
    assert "Job k" not in terminal.getvalue()
    with Progress(), waiting("Job l") as third:
        third.state("running")
    with waiting("Job m") as fourth:
        fourth.state("running")
    assert "Job m: running" in terminal.getvalue()


def test_anything_else_sees_nothing(monkeypatch):
    """Logs are for lines."""
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    with waiting("Job j") as shown:
        shown.state("running")
        shown.line("epoch 1/2")

    assert sys.stdout.getvalue() == ""

"""How long something has been waited for, for people: a line in a terminal, nothing elsewhere."""

import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from rich.progress import Progress

# "Epoch[1 of 2]", "epoch 1/2", "Step 10 / 200".
_COUNTED: Final = re.compile(
    r"\b(?:epoch|step|iteration)\W{0,3}(\d+)\s*(?:/|of)\s*(\d+)", re.IGNORECASE
)

_busy = threading.Lock()
"""Held while a line or a bar is shown: a terminal has room for one."""


@contextmanager
def displayed(display: "Progress") -> Iterator[bool]:
    """Show a progress display, unless another one is shown already, also by the program itself.

    Args:
        display: The display.

    Yields:
        Whether it is shown.
    """
    from rich.errors import LiveError  # noqa: PLC0415 - loaded on first use

    if not _busy.acquire(blocking=False):
        yield False
        return
    try:
        try:
            display.start()
        except LiveError:
            yield False
            return
        try:
            yield True
        finally:
            display.stop()
    finally:
        _busy.release()


class Waiting:
    """Tells people how something is that is waited for.

    Args:
        what: What it is, such as ``Job myjob``.
        display: Where it is shown; None where nobody looks.
    """

    def __init__(self, what: str, display: "Progress | None") -> None:
        self._what = what
        self._display = display
        self._task = display.add_task(what, total=None, counted="") if display else None

    def state(self, state: str) -> None:
        """Show another state.

        Args:
            state: The state.
        """
        if self._display and self._task is not None:
            self._display.update(self._task, description=f"{self._what}: {state}")

    def line(self, line: str) -> None:
        """Look through a line of its log for how far it is, such as ``Epoch[1 of 2]``.

        Args:
            line: The line.
        """
        counted = _COUNTED.search(line)
        if counted and self._display and self._task is not None:
            done, total = map(int, counted.groups())
            done = min(done, total)
            self._display.update(
                self._task, completed=done, total=total, counted=f"{done} of {total}"
            )


@contextmanager
def waiting(what: str) -> Iterator[Waiting]:
    """Show what is waited for, how it is and for how long, when standard output is a terminal.

    What the block prints stands above it.

    Args:
        what: What it is, such as ``Job myjob``.

    Yields:
        To be told of states and lines.
    """
    if not sys.stdout.isatty():
        yield Waiting(what, None)
        return
    from rich.progress import (  # noqa: PLC0415 - loaded on first use
        BarColumn,
        Progress,
        SpinnerColumn,
        TextColumn,
        TimeElapsedColumn,
    )

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[counted]}"),
        TimeElapsedColumn(),
    )
    display = Progress(*columns, transient=True)
    with displayed(display) as shown:
        yield Waiting(what, display if shown else None)


def say(line: str) -> None:
    """Print a line at once, so that a pipe sees it when it happens.

    Args:
        line: The line.
    """
    print(line, flush=True)  # noqa: T201 - somebody asked to see it

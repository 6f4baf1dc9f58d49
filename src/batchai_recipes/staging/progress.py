"""How far a transfer is, for people: a bar with the rate in a terminal, nothing elsewhere."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from batchai_recipes.terminal import displayed

Advance = Callable[[int], None]
"""Takes the number of bytes that were moved; may be called from any thread."""


@contextmanager
def progress(action: str, size: int) -> Iterator[Advance]:
    """Show a bar while the block moves bytes, when the standard output is a terminal.

    Args:
        action: What is being done, such as ``Uploading``.
        size: How many bytes there are to move.

    Yields:
        To be told of bytes that were moved.
    """
    if not size or not sys.stdout.isatty():
        yield lambda _: None
        return
    from rich.progress import (  # noqa: PLC0415 - loaded on first use
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    bar = Progress(*columns, transient=True)
    with displayed(bar):
        task = bar.add_task(action, total=size)
        yield lambda moved: bar.advance(task, moved)

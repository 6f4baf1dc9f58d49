"""`batchai-recipes data`: the handwritten digits as CNTK text files."""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from batchai_recipes.cli.console import AsJson, fail, say, show_json
from batchai_recipes.errors import ConfigurationError

if TYPE_CHECKING:
    from batchai_recipes.trainer.prepare import DataFiles


class DataSet(str, Enum):
    """The data sets that can be prepared."""

    MNIST = "mnist"
    DIGITS = "digits"


def data(
    name: Annotated[DataSet, typer.Argument(help="Which handwritten digits.")],
    dest: Annotated[Path, typer.Argument(help="The folder to write the two files to.")],
    source: Annotated[
        Path | None,
        typer.Option("--from", help="A folder with the four IDX files of MNIST."),
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Write the training and the test file that the quickstart stages.

    mnist: 60,000 and 10,000 digits, from --from, BATCHAI_RECIPES_DATA, the user's cache or public
    mirrors. digits: 1,500 and 297 digits that come with scikit-learn.
    """
    from batchai_recipes.trainer.errors import DataError  # noqa: PLC0415 - loaded on first use

    if source is not None and name is not DataSet.MNIST:
        fail(ConfigurationError("--from goes with mnist; digits come with scikit-learn"))
    try:
        files = prepare(name, dest, source=source)
    except DataError as error:
        fail(error)
    if as_json:
        show_json(
            {
                "name": files.name,
                "train": str(files.train),
                "trainSamples": files.train_samples,
                "test": str(files.test),
                "testSamples": files.test_samples,
            }
        )
        return
    say(f"{files.train} ({files.train_samples:,} samples)")
    say(f"{files.test} ({files.test_samples:,} samples)")


def prepare(name: DataSet, dest: Path, *, source: Path | None = None) -> "DataFiles":
    """Write the two files of a data set, drawing a progress bar while data is downloaded.

    Args:
        name: The data set.
        dest: The folder to write to; made when missing.
        source: A folder with the IDX files of MNIST, if the user named one.

    Raises:
        DataError: The data cannot be had or written; the text says what to do.
    """
    from batchai_recipes.trainer.prepare import (  # noqa: PLC0415 - loaded on first use
        prepare_digits,
        prepare_mnist,
    )

    if name is DataSet.DIGITS:
        return prepare_digits(dest)
    with _Bar.shown() as bar:
        return prepare_mnist(dest, source=source, progress=bar.advance)


class _Bar:
    """A progress bar that appears with the first download."""

    def __init__(self) -> None:
        from rich.console import Console  # noqa: PLC0415 - loaded on first use
        from rich.progress import (  # noqa: PLC0415 - likewise
            BarColumn,
            DownloadColumn,
            Progress,
            TaskID,
            TextColumn,
            TransferSpeedColumn,
        )

        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            console=Console(stderr=True),
        )
        self._tasks: dict[str, TaskID] = {}

    @classmethod
    @contextmanager
    def shown(cls) -> Iterator["_Bar"]:
        bar = cls()
        try:
            yield bar
        finally:
            if bar._tasks:
                bar._progress.stop()

    def advance(self, file: str, done: int, total: int) -> None:
        if file not in self._tasks:
            self._progress.start()
            self._tasks[file] = self._progress.add_task(file, total=total)
        self._progress.update(self._tasks[file], completed=done, total=total)

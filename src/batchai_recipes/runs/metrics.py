"""The metrics of a job: records of numbers and words, from its log or from ``metrics.jsonl``."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final, TypeAlias

from attrs import frozen

from batchai_recipes.errors import ConfigurationError, JobError
from batchai_recipes.names import nearest
from batchai_recipes.notebook import grid

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

MetricValue: TypeAlias = int | float | str | bool | None

METRICS_FILE: Final = "metrics.jsonl"
"""The file that the trainer writes: one JSON object a line."""

# What counts the others: the first of these that there is becomes the axis of a plot.
_COUNTERS: Final = ("epoch", "step", "iteration", "global_step", "minibatch", "batch", "time")
_INTEGER: Final = re.compile(r"[+-]?\d+", re.ASCII)


@frozen
class Metrics:
    r"""The metrics of a job, a record for each line that held some, as of :meth:`JobRun.metrics`.

    Args:
        records: The records in the order of their lines, each by the names of its values.

    Example:
        >>> metrics = Metrics.from_lines(
        ...     ["epoch 1: loss 0.5", "saved", "epoch 2: loss 0.25"],
        ...     r"epoch (?P<epoch>\d+): loss (?P<loss>[\d.]+)",
        ... )
        >>> metrics.columns
        ('epoch', 'loss')
        >>> metrics["loss"]
        [0.5, 0.25]
        >>> metrics.records[-1]
        {'epoch': 2, 'loss': 0.25}
    """

    records: tuple[Mapping[str, MetricValue], ...] = ()

    @classmethod
    def from_lines(cls, lines: Iterable[str], pattern: str | re.Pattern[str]) -> "Metrics":
        """Take the metrics out of lines of a log.

        Args:
            lines: The lines; those that the pattern is not found in are left out.
            pattern: A regular expression with named groups, which become the columns. Text that
                reads as a number becomes one, a group without a match None.

        Raises:
            ConfigurationError: The pattern is no regular expression or has no named group.
        """
        compiled = compiled_pattern(pattern)
        found = (compiled.search(line) for line in lines)
        return cls(
            tuple(
                {name: _value(text) for name, text in match.groupdict().items()}
                for match in found
                if match
            )
        )

    @classmethod
    def from_json_lines(cls, text: str, source: str = METRICS_FILE) -> "Metrics":
        r"""Read metrics from JSON objects, one a line.

        Objects inside of an object become columns such as ``loss.train``, lists their JSON text.

        Args:
            text: The lines; empty ones are left out, as is a last one that is not complete yet.
            source: What to call them in messages.

        Raises:
            JobError: A line is no JSON object.

        Example:
            >>> Metrics.from_json_lines('{"epoch": 1, "loss": {"train": 0.5}}\n{"epo')["loss.train"]
            [0.5]
        """
        *lines, last = text.split("\n")
        records: list[Mapping[str, MetricValue]] = []
        for number, line in enumerate([*lines, last], start=1):
            if not line.strip():
                continue
            try:
                document: object = json.loads(line)
            except ValueError as error:
                if number > len(lines):  # it is being written
                    break
                raise JobError(f"Line {number} of {source} is no JSON: {error}") from error
            if not isinstance(document, dict):
                raise JobError(f"Line {number} of {source} is no JSON object")
            records.append(dict(_flat("", document)))
        return cls(tuple(records))

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of all values, in the order in which they appeared first."""
        return tuple(dict.fromkeys(name for record in self.records for name in record))

    @property
    def numeric_columns(self) -> tuple[str, ...]:
        """The names of those values that are numbers wherever there are any."""
        return tuple(name for name in self.columns if _all_numbers(self[name]))

    def __getitem__(self, column: str) -> list[MetricValue]:
        """Return the values of a column, None where a record has none.

        Raises:
            KeyError: There is no such column; the message names the nearest.
        """
        known = self.columns
        if column not in known:
            raise KeyError(f"there is no column {column!r}: {nearest(column, known)}")
        return [record.get(column) for record in self.records]

    def numbers(self, column: str) -> list[float]:
        """Return the values of a column as numbers, NaN where a record has none.

        Args:
            column: The column's name.

        Raises:
            KeyError: There is no such column; the message names the nearest.
            ConfigurationError: A value is no number.

        Example:
            >>> Metrics(({"loss": 1}, {})).numbers("loss")
            [1.0, nan]
        """
        values = self[column]
        if not _all_numbers(values):
            odd = next(v for v in values if not isinstance(v, int | float) and v is not None)
            raise ConfigurationError(f"The column {column!r} is not of numbers: it has {odd!r}")
        return [float("nan") if value is None else float(value) for value in values]

    def __iter__(self) -> Iterator[Mapping[str, MetricValue]]:
        """Iterate over the records."""
        return iter(self.records)

    def __len__(self) -> int:
        """Return how many records there are."""
        return len(self.records)

    def _repr_html_(self) -> str:
        """Return the records as a table, for notebooks."""
        columns = self.columns
        rows = ([record.get(column) for column in columns] for record in self.records)
        return grid(f"Metrics, {len(self)} record{'' if len(self) == 1 else 's'}", columns, rows)

    def to_pandas(self) -> "pd.DataFrame":
        """Return the metrics as a data frame, a row for each record.

        Raises:
            ConfigurationError: pandas is not installed.
        """
        try:
            import pandas as pd  # noqa: PLC0415 - an extra
        except ImportError as error:
            raise ConfigurationError(
                'pandas is not installed: install it with `pip install "batchai-recipes[pandas]"`'
            ) from error
        return pd.DataFrame([dict(record) for record in self.records], columns=list(self.columns))

    def plot(self, *columns: str, x: str | None = None, title: str | None = None) -> "Figure":
        """Draw columns, one below the other, with matplotlib.

        Args:
            columns: What to draw; without any, all columns of numbers but the axis.
            x: The column along the axis; None for the first of ``epoch``, ``step``, ``iteration``,
                ``global_step``, ``minibatch``, ``batch`` and ``time`` that there is, else the
                number of the record, from 1.
            title: The title; None for none.

        Returns:
            The figure: a notebook shows it, ``figure.savefig("metrics.png")`` writes it.

        Raises:
            ConfigurationError: matplotlib is not installed, there is nothing to draw, or a column
                is not there or not of numbers.
        """
        known = self.columns
        for column in (*columns, *([x] if x else [])):
            if column not in known:
                raise ConfigurationError(f"There is no column {column!r}: {nearest(column, known)}")
        numeric = self.numeric_columns
        axis = x or next((name for name in _COUNTERS if name in numeric), None)
        drawn: Sequence[str] = columns or [name for name in numeric if name != axis]
        if not drawn:
            raise ConfigurationError("There are no columns of numbers to draw")
        try:
            from batchai_recipes.runs.metrics_figure import MetricsFigure  # noqa: PLC0415 - matplotlib may be missing
        except ImportError as error:
            raise ConfigurationError(
                'matplotlib is not installed: install it with `pip install "batchai-recipes[plot]"`'
            ) from error
        places = self.numbers(axis) if axis else [float(n) for n in range(1, len(self) + 1)]
        series = {name: self.numbers(name) for name in drawn}
        return MetricsFigure(axis or "record", places, series, title)


def compiled_pattern(pattern: str | re.Pattern[str]) -> re.Pattern[str]:
    """Return a regular expression with named groups.

    Raises:
        ConfigurationError: It is none, or has no named group.
    """
    try:
        compiled = re.compile(pattern)
    except (re.error, TypeError) as error:
        raise ConfigurationError(f"{pattern!r} is no regular expression: {error}") from error
    if not compiled.groupindex:
        raise ConfigurationError(
            f"{compiled.pattern!r} has no named group, so no value has a name: write "
            f"'(?P<loss>...)' around each"
        )
    return compiled


def _all_numbers(values: Iterable[MetricValue]) -> bool:
    present = [value for value in values if value is not None]
    return bool(present) and all(isinstance(value, int | float) for value in present)


def _value(text: str | None) -> MetricValue:
    """Return the number that a text reads as, else the text."""
    if text is None:
        return None
    word = text.strip()
    try:
        return int(word) if _INTEGER.fullmatch(word) else float(word)
    except ValueError:
        return text


def _flat(prefix: str, document: Mapping[str, object]) -> Iterator[tuple[str, MetricValue]]:
    for name, value in document.items():
        if isinstance(value, dict):
            yield from _flat(f"{prefix}{name}.", value)
        elif value is None or isinstance(value, int | float | str):
            yield f"{prefix}{name}", value
        else:
            yield f"{prefix}{name}", json.dumps(value)

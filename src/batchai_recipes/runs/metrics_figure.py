"""Metrics as a picture. Loaded when one is drawn: matplotlib is an extra."""

import io
import math
from collections.abc import Mapping, Sequence
from typing import Final

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

_WIDTH_INCHES: Final = 7.0
_ROW_INCHES: Final = 2.2
_FEW: Final = 60


class MetricsFigure(Figure):
    """A figure with a curve for each column, one below the other over the same axis.

    Args:
        axis: What the axis counts.
        places: Where on it each record lies.
        series: The values of each column, one for each record.
        title: The title; None for none.
    """

    def __init__(
        self,
        axis: str,
        places: Sequence[float],
        series: Mapping[str, Sequence[float]],
        title: str | None,
    ) -> None:
        super().__init__(figsize=(_WIDTH_INCHES, _ROW_INCHES * len(series)), layout="constrained")
        rows = self.subplots(len(series), squeeze=False, sharex=True)[:, 0]
        marker = "." if len(places) <= _FEW else ""
        for axes, (name, values) in zip(rows, series.items(), strict=True):
            axes.plot(places, values, marker=marker)
            axes.set_ylabel(name)
            axes.grid(visible=True, alpha=0.3)
        rows[-1].set_xlabel(axis)
        if all(place.is_integer() for place in places if math.isfinite(place)):
            rows[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
        if title:
            self.suptitle(title)

    def _repr_png_(self) -> bytes:
        """Return the picture, for notebooks; they ask for it by this name."""
        picture = io.BytesIO()
        self.savefig(picture, format="png")
        return picture.getvalue()

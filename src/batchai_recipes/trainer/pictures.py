"""Pictures of a training: its curve, and the digits that the network still takes for others.

Matplotlib is an extra of this package, so it is imported by the calls.
"""
# ruff: noqa: PLC0415 -- see above

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from batchai_recipes.trainer.errors import DataError
from batchai_recipes.trainer.evaluation import Evaluation

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MOST_DIGITS: Final = 60
_COLUMNS: Final = 10
# A loss that fell by less than this is drawn from zero.
_LOG_FROM: Final = 5
_LOSS_COLOUR: Final = "tab:blue"
_ERROR_COLOUR: Final = "tab:red"


def draw_training(metrics: Path, picture: Path) -> None:
    """Draw loss and error of each epoch.

    Args:
        metrics: The file ``metrics.jsonl`` of a training.
        picture: The PNG file to write.

    Raises:
        DataError: The metrics cannot be read, or Matplotlib is not installed.
    """
    try:
        records = [json.loads(line) for line in metrics.read_text().splitlines()]
        epochs, losses, percents = zip(
            *[(line["epoch"], line["loss"], 100 * line["error"]) for line in records], strict=True
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{metrics}: not the metrics of a training: {error}") from error
    figure = _figure(7, 4.2)
    from matplotlib.ticker import MaxNLocator

    axes = figure.add_subplot()
    axes.set_title(f"Training, {records[-1]['samples']:,} samples an epoch")
    axes.set_xlabel("Epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylabel("Loss", color=_LOSS_COLOUR)
    axes.plot(epochs, losses, color=_LOSS_COLOUR, marker=".")
    if max(losses) > _LOG_FROM * min(losses) > 0:
        axes.set_yscale("log")
    else:
        axes.set_ylim(bottom=0)
    axes.grid(visible=True, alpha=0.3)
    errors = axes.twinx()
    errors.set_ylabel("Error while training, %", color=_ERROR_COLOUR)
    errors.plot(epochs, percents, color=_ERROR_COLOUR, marker=".", linestyle="--")
    errors.set_ylim(bottom=0)
    _save(figure, picture)


def draw_mistakes(evaluation: Evaluation, picture: Path) -> None:
    """Draw the digits that a model took for others, the first sixty if there are more.

    Args:
        evaluation: What the model made of them.
        picture: The PNG file to write.

    Raises:
        DataError: Matplotlib is not installed, or the file cannot be written.
    """
    mistakes = evaluation.mistakes
    shown = mistakes[:_MOST_DIGITS]
    rows = max(1, -(-len(shown) // _COLUMNS))
    figure = _figure(_COLUMNS * 0.85, rows * 1.1 + 0.6)
    some = f", the first {len(shown)} of them" if len(shown) < len(mistakes) else ""
    figure.suptitle(
        f"{len(mistakes):,} of {evaluation.count:,} digits taken for others "
        f"({len(mistakes) / evaluation.count:.2%}){some}",
        fontsize=11,
    )
    for place, number in enumerate(shown, start=1):
        axes = figure.add_subplot(rows, _COLUMNS, place)
        axes.imshow(evaluation.samples.images[number].reshape(28, 28), cmap="gray_r")
        label, found = evaluation.samples.labels[number], evaluation.found[number]
        axes.set_title(f"{label} as {found}", fontsize=8, pad=2)
        axes.set_axis_off()
    _save(figure, picture)


def _figure(width: float, height: float) -> "Figure":
    """Return a figure of a size in inches that needs no screen and no global state."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise DataError(
            f'pictures need Matplotlib: pip install "batchai-recipes[trainer]" ({error})'
        ) from error
    return Figure(figsize=(width, height), layout="constrained", dpi=110)


def _save(figure: Any, picture: Path) -> None:
    try:
        figure.savefig(picture, format="png")
    except OSError as error:
        raise DataError(f"{picture}: {error.strerror or error}") from error

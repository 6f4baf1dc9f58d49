"""`batchai-recipes evaluate`: a trained model against labelled images."""

from pathlib import Path
from typing import Annotated

import typer

from batchai_recipes.cli.console import AsJson, fail, say, show_json


def evaluate(
    model: Annotated[
        Path, typer.Argument(help="An .onnx file, or the folder that a job's model was put in.")
    ],
    data: Annotated[
        Path, typer.Argument(help="A file in CNTK's text format, or the folder of the test file.")
    ],
    pictures: Annotated[
        Path | None,
        typer.Option(help="Draw the digits that were taken for others to this PNG file."),
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Count how many digits a downloaded model takes for another, with ONNX Runtime."""
    from batchai_recipes.trainer.errors import DataError  # noqa: PLC0415 - loaded on first use
    from batchai_recipes.trainer.evaluation import evaluate as run  # noqa: PLC0415 - likewise

    try:
        evaluation = run(model, data)
        if pictures is not None:
            from batchai_recipes.trainer.pictures import (  # noqa: PLC0415 - likewise
                draw_mistakes,
            )

            draw_mistakes(evaluation, pictures)
    except DataError as error:
        fail(error)
    wrong, count = len(evaluation.mistakes), evaluation.count
    if as_json:
        show_json({"mistakes": wrong, "count": count, "errs": wrong / count})
        return
    say(f"{wrong:,} of {count:,} digits taken for others: errs = {wrong / count:.2%} * {count}")

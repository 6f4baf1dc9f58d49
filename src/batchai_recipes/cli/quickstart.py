"""`batchai-recipes quickstart`: the MNIST CNTK quickstart from start to end."""

import importlib.util
import os
import sys
from contextlib import nullcontext, redirect_stdout
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import platformdirs
import typer

from batchai_recipes.cli.cntk_python import VARIABLE, cntk_python
from batchai_recipes.cli.connecting import EnvFile, ProfileName, StateDir, connect
from batchai_recipes.cli.console import AsJson, fail, say, show_json
from batchai_recipes.cli.data import DataSet, prepare
from batchai_recipes.cli.destination import checked_destination
from batchai_recipes.cli.example import load_example
from batchai_recipes.errors import ConfigurationError
from batchai_recipes.settings import APPLICATION

if TYPE_CHECKING:
    from batchai_recipes.trainer.evaluation import Evaluation
    from batchai_recipes.trainer.prepare import DataFiles

_EXAMPLE: Final = "mnist_cntk_quickstart.py"
_EPOCHS: Final = {"mnist": 2, "digits": 30}


class DataChoice(str, Enum):
    """Which data to train on."""

    AUTO = "auto"
    MNIST = "mnist"
    DIGITS = "digits"


class Engine(str, Enum):
    """Which engine trains the network."""

    AUTO = "auto"
    CNTK = "cntk"
    TORCH = "torch"


def quickstart(
    data: Annotated[
        DataChoice,
        typer.Option(help="auto: MNIST if it is at hand or quickly downloaded, else digits."),
    ] = DataChoice.AUTO,
    epochs: Annotated[
        int | None,
        typer.Option(min=1, help="Passes over the data; by default 2, with digits 30."),
    ] = None,
    engine: Annotated[
        Engine, typer.Option(help="auto: CNTK where the node's Python has it, else PyTorch.")
    ] = Engine.AUTO,
    cntk: Annotated[
        Path | None,
        typer.Option(
            "--cntk-python",
            envvar=VARIABLE,
            help="With --engine cntk: a Python that has CNTK; by default that of `make cntk`.",
        ),
    ] = None,
    models: Annotated[Path, typer.Option(help="Where to put the models.")] = Path("models"),
    *,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the file share.")] = False,
    as_json: AsJson = False,
    profile: ProfileName = None,
    env_file: EnvFile = None,
    state_dir: StateDir = None,
) -> None:
    """Train the MNIST network as a Batch AI job, download the model, leave nothing behind."""
    from batchai_recipes.trainer.errors import DataError  # noqa: PLC0415 - loaded on first use

    # The program tells its story on standard output, which is the result's alone with --json.
    told = redirect_stdout(sys.stderr) if as_json else nullcontext()
    with told, connect(profile, env_file, state_dir) as connection:
        try:
            checked_destination(models)
            interpreter = _interpreter(engine, cntk, elsewhere=connection.state_dir is None)
            files = _prepare(data)
        except (DataError, ConfigurationError) as error:
            fail(error)
        say(f"Data: {files.name}, {files.train_samples:,} samples to train on")
        downloaded: list[Path] = load_example(_EXAMPLE).main(
            files.train.parent,
            models,
            epochs=epochs or _EPOCHS[files.name],
            engine=engine.value,
            interpreter=interpreter,
            keep=keep,
            connection=connection,
        )
        say(f"Downloaded {len(downloaded)} files to {models}{os.sep}")
        evaluation = _draw(models, files.test)
    if as_json:
        show_json(
            {
                "data": files.name,
                "downloaded": [str(path) for path in downloaded],
                "mistakes": len(evaluation.mistakes) if evaluation else None,
                "count": evaluation.count if evaluation else None,
            }
        )


def _interpreter(engine: Engine, cntk: Path | None, *, elsewhere: bool) -> str | None:
    """Return the Python for the job, None for the node's own; check that it has the engine."""
    if elsewhere:
        # The job runs with what is installed there.
        return str(cntk) if engine is Engine.CNTK and cntk else None
    if engine is Engine.CNTK:
        return str(cntk_python(cntk))
    if not importlib.util.find_spec("torch"):
        raise ConfigurationError(
            "torch cannot be imported, so nothing could train: install PyTorch with "
            '`pip install "batchai-recipes[trainer]"`, or use --engine cntk'
        )
    return None


def _prepare(choice: DataChoice) -> "DataFiles":
    from batchai_recipes.trainer.errors import DataUnavailableError  # noqa: PLC0415 - likewise

    cache = platformdirs.user_cache_path(APPLICATION)
    if choice is not DataChoice.DIGITS:
        try:
            return prepare(DataSet.MNIST, cache / "mnist-ctf")
        except DataUnavailableError as error:
            if choice is DataChoice.MNIST:
                raise
            say(f"MNIST is not at hand: {error}")
            say("Training on the 1,797 digits that come with scikit-learn instead")
    return prepare(DataSet.DIGITS, cache / "digits-ctf")


def _draw(models: Path, test: Path) -> "Evaluation | None":
    """Draw the training and what the model still mistakes, beside it; the training counts more."""
    from batchai_recipes.trainer.errors import DataError  # noqa: PLC0415 - loaded on first use
    from batchai_recipes.trainer.evaluation import evaluate  # noqa: PLC0415 - likewise
    from batchai_recipes.trainer.pictures import draw_mistakes, draw_training  # noqa: PLC0415 - likewise

    curve, mistakes = models / "training.png", models / "misclassified.png"
    try:
        draw_training(models / "metrics.jsonl", curve)
        evaluation = evaluate(models, test)
        draw_mistakes(evaluation, mistakes)
    except DataError as error:
        say(f"No pictures: {error}")
        return None
    wrong, count = len(evaluation.mistakes), evaluation.count
    say(f"The downloaded model takes {wrong:,} of {count:,} test digits for others")
    say(f"Pictures: {curve} and {mistakes}")
    return evaluation

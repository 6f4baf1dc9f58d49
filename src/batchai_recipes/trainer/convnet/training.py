"""The training itself: epoch after epoch, with what is written after each of them."""

import argparse
import math
import os
import time
from pathlib import Path
from typing import Any, Callable, Dict, List

from .checkpoint import (
    FOLDER,
    Checkpoint,
    read_checkpoints,
    remove_checkpoints,
    remove_unfinished,
    write_checkpoint,
)
from .engine import Engine, open_engine
from .errors import InputError, TrainingError
from .metrics import epoch_line, record_of, write_metrics
from .sample_cache import read_samples
from .samples import Samples
from .whole_file import whole_file

TRAINING_FILE = "Train-28x28_cntk_text.txt"
TEST_FILE = "Test-28x28_cntk_text.txt"
MODEL_NAME = "ConvNet_MNIST"

# Where Batch AI keeps the outputs of a job that it ran before and queued again.
PREVIOUS_OUTPUT = "AZ_BATCHAI_PREV_OUTPUT_MODEL"


def train(options: argparse.Namespace) -> None:
    """Read the data, train, write models after each epoch, and test the last one.

    Args:
        options: The program's arguments.

    Raises:
        TrainingError: Any of this failed.
    """
    training = read_samples(options.data_dir / TRAINING_FILE)
    test = read_samples(options.data_dir / TEST_FILE)
    try:
        options.model_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError("{}: {}".format(options.model_dir, error.strerror or error)) from None
    engine = open_engine(options, training)
    try:
        run = Training(options, engine, len(training))
        run.say("Engine: {}".format(engine.describe()))
        run.say("Samples: {} for training, {} for testing".format(len(training), len(test)))
        run.start()
        while run.epochs_done < options.epochs:
            run.epoch()
        if engine.is_first:
            run.finish(test)
    finally:
        engine.close()


class Training:
    """One training, in the process that prints and writes or in one that helps it.

    Args:
        options: The program's arguments.
        engine: What trains.
        samples: How many samples there are to learn.
    """

    def __init__(self, options: argparse.Namespace, engine: Engine, samples: int) -> None:
        self._options = options
        self._engine = engine
        self._samples = samples
        self._folder = options.model_dir  # type: Path
        self._records = []  # type: List[Dict[str, Any]]

    @property
    def epochs_done(self) -> int:
        """How many epochs the network has learned."""
        return len(self._records)

    def say(self, line: str) -> None:
        """Print a line that whoever follows the log sees at once, once for all processes."""
        if self._engine.is_first:
            print(line, flush=True)

    def start(self) -> None:
        """Begin anew, or with ``--resume`` where an earlier training came to.

        Raises:
            TrainingError: The earlier training was given other settings, what is left of it cannot
                be removed, or each process would go on from another epoch.
        """
        if self._options.resume:
            for checkpoint in _found(self._folder):
                if self._resumed(checkpoint):
                    break
            # Before anything is removed, which another process may be about to read.
            self._check_agreement()
        if self._engine.is_first:
            try:
                remove_unfinished(self._folder)
                if not self._records:
                    remove_checkpoints(self._folder / FOLDER)
            except OSError as error:
                raise TrainingError("{}: {}".format(self._folder, error)) from None

    def epoch(self) -> None:
        """Train for one more epoch and write what it gave.

        Raises:
            TrainingError: The engine cannot go on, the loss has no bounds any more, or something
            cannot be written.
        """
        number = self.epochs_done + 1
        started = time.perf_counter()
        try:
            loss_sum, errors = self._engine.train_epoch(number)
        except RuntimeError as error:  # a device without memory, another process that is gone
            message = "epoch {} cannot be learned: {}"
            raise TrainingError(message.format(number, _first_line(error))) from None
        seconds = time.perf_counter() - started
        record = record_of(number, self._samples, loss_sum, errors, seconds)
        self._records.append(record)
        self.say(epoch_line(record, self._options.epochs))
        if not math.isfinite(loss_sum):
            message = "the loss of epoch {} is {}; try a smaller --minibatch-size or another --seed"
            raise TrainingError(message.format(number, loss_sum))
        if self._engine.is_first:
            # Counted from 0, as in CNTK's example.
            name = "{}_{}{}".format(MODEL_NAME, number - 1, self._engine.model_suffix)
            self._write(self._folder / name, self._write_model)
            self._write(self._folder, lambda folder: write_metrics(folder, self._records))
            self._write(self._folder / FOLDER, self._write_checkpoint)
        else:
            self._engine.save_state(self._folder / FOLDER)

    def finish(self, test: Samples) -> None:
        """Write the network as ONNX, test it and print the result.

        Raises:
            TrainingError: It cannot be written.
        """
        try:
            self._write(self._folder / (MODEL_NAME + ".onnx"), self._write_onnx)
        except ImportError as error:
            self.say("No ONNX model: {}".format(error))
        errors = self._engine.count_errors(test)
        self.say("Final Results: errs = {:.2f}% * {}".format(100 * errors / len(test), len(test)))

    @property
    def _settings(self) -> Dict[str, Any]:
        return {
            "engine": self._engine.name,
            "minibatch_size": self._options.minibatch_size,
            "samples": self._samples,
            "seed": self._options.seed,
        }

    def _check_agreement(self) -> None:
        try:
            agreed = self._engine.agree_on(self.epochs_done)
        except RuntimeError as error:  # another process is gone
            message = "the processes cannot agree on where to go on: {}"
            raise TrainingError(message.format(_first_line(error))) from None
        if not agreed:
            message = (
                "the processes would go on from different epochs, this one after epoch {}: let all "
                "of them see one MODEL_DIR, or begin anew without --resume"
            )
            raise TrainingError(message.format(self.epochs_done))

    def _resumed(self, checkpoint: Checkpoint) -> bool:
        for name, value in self._settings.items():
            other = checkpoint.settings.get(name)
            if other != value:
                message = "{} is of a training with {} {}, not {}; begin anew without --resume"
                raise InputError(
                    message.format(checkpoint.folder, name.replace("_", " "), other, value)
                )
        try:
            self._engine.load_state(checkpoint.state)
        except Exception as error:  # noqa: BLE001 -- of kinds that depend on the engine
            self.say("{}: damaged, not used: {}".format(checkpoint.folder, _first_line(error)))
            return False
        self._records = checkpoint.records
        self.say("Resumed after epoch {}".format(self.epochs_done))
        return True

    def _write_model(self, path: Path) -> None:
        with whole_file(path) as temporary:
            self._engine.save_model(temporary)

    def _write_onnx(self, path: Path) -> None:
        with whole_file(path) as temporary:
            self._engine.save_onnx(temporary)

    def _write_checkpoint(self, folder: Path) -> None:
        write_checkpoint(folder, self._settings, self._records, self._engine.save_state)

    def _write(self, path: Path, write: Callable[[Path], None]) -> None:
        try:
            write(path)
        except (OSError, RuntimeError) as error:  # both engines raise the latter for a full disk
            message = "{}: cannot be written: {}"
            raise TrainingError(message.format(path, _first_line(error))) from None


def _found(model_dir: Path) -> List[Checkpoint]:
    """Return the checkpoints of this job, or else those of the run before it was queued again."""
    previous = os.environ.get(PREVIOUS_OUTPUT)
    found = read_checkpoints(model_dir / FOLDER)
    if not found and previous:
        found = read_checkpoints(Path(previous) / FOLDER)
    return found


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0]

"""What an engine does for the training, whichever library it trains with."""

import argparse
import os
from pathlib import Path
from typing import Tuple

from .errors import InputError
from .samples import Samples

# So many images are tested at once.
TEST_BATCH = 1000


class Engine:
    """The network and what changes it; each engine is one class that overrides this.

    With several processes each learns its part of every minibatch, and all have the same network.
    """

    name = ""
    model_suffix = ""
    rank = 0

    @property
    def is_first(self) -> bool:
        """Tell whether this is the process that prints and writes."""
        return self.rank == 0

    def describe(self) -> str:
        """Return the engine and its device in words."""
        raise NotImplementedError

    def train_epoch(self, epoch: int) -> Tuple[float, int]:
        """Learn every sample once, in random order.

        Args:
            epoch: Which epoch of the schedule this is, from 1.

        Returns:
            The sum of the losses of all samples, and how many were taken for another digit, over
            all processes.
        """
        raise NotImplementedError

    def agree_on(self, number: int) -> bool:
        """Tell whether all processes give the same number; an engine that cannot tell takes it so.

        Args:
            number: The number.

        Raises:
            RuntimeError: Another process is gone.
        """
        del number
        return True

    def count_errors(self, samples: Samples) -> int:
        """Return how many samples the network takes for another digit."""
        raise NotImplementedError

    def save_model(self, path: Path) -> None:
        """Write the network in the engine's own format."""
        raise NotImplementedError

    def save_onnx(self, path: Path) -> None:
        """Write the network as ONNX.

        Raises:
            ImportError: What it takes is not installed.
        """
        raise NotImplementedError

    def save_state(self, path: Path) -> None:
        """Write all that the next epoch depends on; every process calls this, the first writes."""
        raise NotImplementedError

    def load_state(self, path: Path) -> None:
        """Go on from what :meth:`save_state` wrote.

        Raises:
            Exception: Of a kind that depends on the engine, when it is damaged.
        """
        raise NotImplementedError

    def close(self) -> None:
        """Leave the other processes."""


def open_engine(options: argparse.Namespace, training: Samples) -> Engine:
    """Return the engine to train with.

    Args:
        options: The program's arguments; ``engine`` is ``cntk``, ``torch``, or ``auto`` for the
            first of the two that is installed.
        training: The samples to learn.

    Raises:
        InputError: No such engine is installed, the device does not exist, or the other processes
            cannot be reached.
    """
    reasons = []
    for candidate, opened in (("cntk", _open_cntk), ("torch", _open_torch)):
        if options.engine in ("auto", candidate):
            try:
                return opened(options, training)
            except ImportError as error:
                reasons.append("{}: {}".format(candidate, str(error).strip().split("\n")[0]))
    message = "no engine to train with ({}); pip install torch"
    raise InputError(message.format("; ".join(reasons)))


# Each library is imported when it is asked for, because nobody has both.


def _open_cntk(options: argparse.Namespace, training: Samples) -> Engine:
    from .cntk_engine import CntkEngine  # noqa: PLC0415 -- see above

    return CntkEngine(training, options.minibatch_size, options.seed, options.device)


def _open_torch(options: argparse.Namespace, training: Samples) -> Engine:
    # Read when PyTorch is imported. A thread that has nothing to do looks for work 300,000 times
    # before it sleeps, unless told otherwise; where other programs want the processors too, that
    # keeps them from the thread it waits for, and the training is many times slower.
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    from .torch_engine import TorchEngine  # noqa: PLC0415 -- see above

    return TorchEngine(training, options.minibatch_size, options.seed, options.device)

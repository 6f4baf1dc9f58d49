"""The program's arguments, and how it ends."""

import argparse
import sys
from pathlib import Path
from typing import List, Optional

from .errors import TrainingError
from .training import train


def main(arguments: Optional[List[str]] = None) -> int:
    """Run the program.

    Args:
        arguments: The command line without the program's name; None for that of this process.

    Returns:
        The exit status: 0 when it has trained, 2 when it was given something that it cannot use, 1
        when anything else went wrong.
    """
    parser = argparse.ArgumentParser(
        prog="ConvNet_MNIST.py", description="Train a convolutional network to read digits."
    )
    for name, text in (("data_dir", "the two text files"), ("model_dir", "the models; made")):
        parser.add_argument(name, metavar=name.upper(), type=Path, help="the folder of " + text)
    parser.add_argument("--epochs", type=positive, default=40, help="default: 40")
    parser.add_argument(
        "--minibatch-size",
        type=positive,
        default=64,
        help="samples to each change of the network, over all processes; default: 64",
    )
    parser.add_argument("--seed", type=seed_number, default=1, help="default: 1")
    parser.add_argument("--engine", choices=("auto", "cntk", "torch"), default="auto")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on from the newest checkpoint in MODEL_DIR, if there is one",
    )
    options = parser.parse_args(arguments)
    try:
        train(options)
    except TrainingError as error:
        print("{}: error: {}".format(parser.prog, error), file=sys.stderr, flush=True)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    return 0


def positive(text: str) -> int:
    """Return the whole number above 0 that an argument says."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("{} is not above 0".format(text))
    return number


def seed_number(text: str) -> int:
    """Return the whole number from 0 to 2**32 - 1 that an argument says."""
    number = int(text)
    if not 0 <= number < 1 << 32:
        raise argparse.ArgumentTypeError("{} is not from 0 to 2**32 - 1".format(text))
    return number

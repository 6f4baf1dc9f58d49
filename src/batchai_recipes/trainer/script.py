"""Where the training program lies, for whoever uploads it."""

from pathlib import Path
from typing import Final

TRAINING_SCRIPT: Final = Path(__file__).with_name("ConvNet_MNIST.py")
"""The script, which needs the folder below beside it and nothing else of this library."""

TRAINING_PACKAGE: Final = Path(__file__).with_name("convnet")
"""The folder with the program's parts; on a share it keeps its name."""

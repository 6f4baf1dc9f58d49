"""Where the training script lies, for whoever uploads it."""

from pathlib import Path
from typing import Final

TRAINING_SCRIPT: Final = Path(__file__).with_name("ConvNet_MNIST.py")
"""The script, which needs no other file of this library."""

"""Labelled images, some to learn from and some to test with."""

import numpy as np
from attrs import frozen
from numpy.typing import NDArray


@frozen(eq=False)
class Samples:
    """Images with what they show.

    Args:
        images: One row of 784 grey levels, 0 to 255, per image of 28 x 28 pixels.
        labels: The digit, 0 to 9, of each image.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]


@frozen(eq=False)
class DataSet:
    """What a network learns, and what shows whether it has learned.

    Args:
        train: The samples to learn from.
        test: Other samples, to test with.
    """

    train: Samples
    test: Samples

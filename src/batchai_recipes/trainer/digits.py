"""The 1,797 handwritten digits that come with scikit-learn, made to look like MNIST's.

They need no download, so that the quickstart can run anywhere.
"""

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits

from batchai_recipes.trainer.dataset import DataSet, Samples

# Of scikit-learn's images and of MNIST's. MNIST's digits fill 20 x 20 pixels, and their centre
# of gravity is in the middle of 28 x 28.
_SOURCE_SIDE = 8
_SOURCE_BRIGHTEST = 16
_DIGIT_SIDE = 20
_SIDE = 28

_TEST_SAMPLES = 297


def read_digits() -> DataSet:
    """Return the digits of scikit-learn, the last 297 of them to test with.

    Example:
        >>> read_digits().test.images.shape
        (297, 784)

    Source:
        E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning
        Repository, 1998, https://doi.org/10.24432/C50P49
    """
    pixels, labels = load_digits(return_X_y=True)
    images = enlarged(pixels.reshape(-1, _SOURCE_SIDE, _SOURCE_SIDE) / _SOURCE_BRIGHTEST)
    rows = np.rint(images * 255).astype(np.uint8).reshape(len(images), -1)
    labels = labels.astype(np.uint8)
    return DataSet(
        train=Samples(rows[:-_TEST_SAMPLES], labels[:-_TEST_SAMPLES]),
        test=Samples(rows[-_TEST_SAMPLES:], labels[-_TEST_SAMPLES:]),
    )


def enlarged(images: NDArray[np.float64]) -> NDArray[np.float64]:
    """Enlarge images of 8 x 8 pixels to 20 x 20 and lay their centres of gravity on 28 x 28.

    Args:
        images: Brightness from 0 to 1, as an array of count x 8 x 8.

    Returns:
        Brightness from 0 to 1, as an array of count x 28 x 28.
    """
    weights = _linear_weights(_SOURCE_SIDE, _DIGIT_SIDE)
    large = weights @ images @ weights.T
    placed = np.zeros((len(images), _SIDE, _SIDE))
    for canvas, image in zip(placed, large, strict=True):
        top, left = (_offset(image.sum(axis=axis)) for axis in (1, 0))
        canvas[top : top + _DIGIT_SIDE, left : left + _DIGIT_SIDE] = image
    return placed


def _linear_weights(source: int, target: int) -> NDArray[np.float64]:
    """Return the matrix that stretches a line of pixels by linear interpolation."""
    # Where the middle of each new pixel lies among the old ones, whose middles are whole numbers.
    middles = (np.arange(target) + 0.5) * source / target - 0.5
    middles = np.clip(middles, 0, source - 1)
    weights: NDArray[np.float64] = 1 - np.abs(middles[:, np.newaxis] - np.arange(source))
    return weights.clip(min=0)


def _offset(profile: NDArray[np.float64]) -> int:
    """Return where a digit must begin so that its weight is balanced about the middle."""
    total = profile.sum()
    room = _SIDE - _DIGIT_SIDE
    if total == 0:
        return room // 2
    centre = (profile * (np.arange(_DIGIT_SIDE) + 0.5)).sum() / total
    return int(np.clip(np.rint(_SIDE / 2 - centre), 0, room))

"""Tests of `batchai_recipes.trainer.digits`."""

import numpy as np

from batchai_recipes.trainer.digits import enlarged, read_digits


def test_the_last_297_digits_are_for_testing():
    """Every digit of scikit-learn is either for learning or for testing, as bytes of 28 x 28."""
    data = read_digits()

    assert data.train.images.shape == (1500, 784)
    assert data.test.images.shape == (297, 784)
    assert data.train.labels[:10].tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
    assert set(range(10)) == set(data.test.labels.tolist())
    assert np.uint8 == data.train.images.dtype
    assert data.train.images.max() == 255


def test_the_weight_of_each_digit_is_in_the_middle():
    """The centre of gravity lies within half a pixel of the middle, as MNIST's does."""
    images = read_digits().test.images.reshape(-1, 28, 28).astype(float)
    middles = np.arange(28) + 0.5

    for axis in (1, 2):
        profiles = images.sum(axis=axis)
        centres = (profiles * middles).sum(axis=1) / profiles.sum(axis=1)
        assert np.abs(centres - 14).max() <= 0.51


def test_a_uniform_image_fills_the_middle():
    """Between equal pixels everything is equal; four pixels about the digit stay dark."""
    expected = np.zeros((28, 28))
    expected[4:24, 4:24] = 1

    np.testing.assert_allclose(expected, enlarged(np.ones((1, 8, 8)))[0])


def test_brightness_changes_evenly_between_pixels():
    """Interpolation is linear: a ramp of eight steps becomes a ramp of twenty."""
    ramp = np.tile(np.arange(8) / 8, (8, 1))

    row = enlarged(ramp[np.newaxis])[0][14]

    steps = np.diff(row[np.flatnonzero(row)])
    np.testing.assert_allclose(np.full(16, 1 / 20), steps[1:17])


def test_an_empty_image_stays_empty():
    """An image without a centre of gravity is laid in the middle."""
    np.testing.assert_array_equal(np.zeros((1, 28, 28)), enlarged(np.zeros((1, 8, 8))))

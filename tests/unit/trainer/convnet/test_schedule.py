"""Tests of `batchai_recipes.trainer.convnet.schedule`."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchai_recipes.trainer.convnet.schedule import (
    learning_rate_per_sample,
    momentum,
    order_of,
    shares_of,
)


def test_the_learning_rate_falls_after_epochs_10_and_20():
    """The rates are those of CNTK's example."""
    rates = [learning_rate_per_sample(epoch) for epoch in range(1, 41)]

    assert rates == [0.001] * 10 + [0.0005] * 10 + [0.0001] * 20


def test_momentum_begins_with_epoch_6():
    """After five epochs without it, momentum decays by 1/e in 1,024 samples."""
    assert [momentum(epoch, 64) for epoch in range(1, 6)] == [0] * 5
    assert {math.exp(-64 / 1024)} == {momentum(epoch, 64) for epoch in range(6, 41)}
    assert momentum(6, 1024) == pytest.approx(1 / math.e)


def test_each_epoch_has_an_order_of_its_own():
    """That follows from seed and epoch, so that a resumed training takes the same."""
    orders = {
        (seed, epoch): tuple(order_of(seed, epoch, 50)) for seed in (1, 2) for epoch in (1, 2)
    }

    assert len(set(orders.values())) == 4
    assert orders[1, 2] == tuple(order_of(1, 2, 50))


@given(
    samples=st.integers(1, 300),
    minibatch_size=st.integers(1, 70),
    processes=st.integers(1, 5),
)
def test_processes_share_each_minibatch(samples, minibatch_size, processes):
    """Together they learn every sample once, each about as many, in as many steps."""
    shares = [shares_of(samples, minibatch_size, rank, processes) for rank in range(processes)]

    steps = -(-samples // minibatch_size)
    assert {steps} == {len(own) for own in shares}
    for step, parts in enumerate(zip(*shares, strict=True)):
        learned = np.concatenate([np.arange(*part) for part in parts])
        start = step * minibatch_size
        assert learned.tolist() == list(range(start, min(start + minibatch_size, samples)))
        sizes = [last - first for first, last in parts]
        assert max(sizes) - min(sizes) <= 1

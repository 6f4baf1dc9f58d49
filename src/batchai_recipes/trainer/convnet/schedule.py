"""The schedule of CNTK's example, counted in samples, and the order of the samples."""

import math
from typing import TYPE_CHECKING, Any, List, Tuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def learning_rate_per_sample(epoch: int) -> float:
    """Return the learning rate of an epoch (from 1) for the gradient of one sample.

    Example:
        >>> [learning_rate_per_sample(epoch) for epoch in (1, 10, 11, 20, 21, 40)]
        [0.001, 0.001, 0.0005, 0.0005, 0.0001, 0.0001]
    """
    if epoch <= 10:  # noqa: PLR2004 -- the schedule is best read here
        return 0.001
    return 0.0005 if epoch <= 20 else 0.0001  # noqa: PLR2004 -- as above


def momentum_time_constant(epoch: int) -> int:
    """Return after how many samples of an epoch (from 1) a gradient has decayed to 1/e.

    Example:
        >>> [momentum_time_constant(epoch) for epoch in (1, 5, 6, 40)]
        [0, 0, 1024, 1024]
    """
    return 0 if epoch <= 5 else 1024  # noqa: PLR2004 -- the schedule is best read here


def momentum(epoch: int, minibatch_size: int) -> float:
    """Return the share of the past that one minibatch of an epoch (from 1) keeps.

    Example:
        >>> momentum(5, 64), round(momentum(6, 64), 6)
        (0.0, 0.939413)
    """
    time_constant = momentum_time_constant(epoch)
    return math.exp(-minibatch_size / time_constant) if time_constant else 0.0


def random_of(*numbers: int) -> "np.random.RandomState":
    """Return random numbers that follow from a few whole numbers alone.

    With the seed and the epoch given, a resumed training draws what an undisturbed one would.

    Example:
        >>> int(random_of(1, 7).randint(1000)) == int(random_of(1, 7).randint(1000))
        True
    """
    # NumPy promises that this generator's numbers never change between its releases.
    return np.random.RandomState(numbers)


def order_of(seed: int, epoch: int, samples: int) -> "NDArray[Any]":
    """Return the random order in which an epoch (from 1) takes the samples.

    Example:
        >>> sorted(order_of(1, 1, 5).tolist())
        [0, 1, 2, 3, 4]
    """
    return random_of(seed, epoch).permutation(samples)


def shares_of(
    samples: int, minibatch_size: int, rank: int, processes: int
) -> List[Tuple[int, int]]:
    """Return which part of each minibatch of an epoch one of several processes learns.

    Args:
        samples: How many samples the epoch has.
        minibatch_size: How many of them change the network at once, over all processes.
        rank: Which process this is, from 0.
        processes: How many there are.

    Returns:
        Start and end of each part among the samples; a part of a short last minibatch may be empty.

    Example:
        >>> shares_of(11, 4, 0, 2), shares_of(11, 4, 1, 2)
        ([(0, 2), (4, 6), (8, 9)], [(2, 4), (6, 8), (9, 11)])
    """
    shares = []
    for start in range(0, samples, minibatch_size):
        size = min(minibatch_size, samples - start)
        first, last = size * rank // processes, size * (rank + 1) // processes
        shares.append((start + first, start + last))
    return shares

"""Threads that each learn a part of a minibatch: one network's weights, their own gradients.

PyTorch's own threads share each operation. This network's are so short that the threads would meet
hundreds of times in a step of ten milliseconds; these meet once.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from itertools import pairwise

import torch

# A part of fewer samples costs more a sample.
FEWEST_SAMPLES = 32

Learn = Callable[[torch.nn.Module, slice], torch.Tensor]


class Lanes:
    """Runs a step's forward and backward passes, in several threads where there are processors.

    Args:
        network: The network to train; on a CPU when there is more than one thread.
        threads: How many threads there are in all.
        minibatch_size: How many samples a step takes.
    """

    def __init__(self, network: torch.nn.Module, threads: int, minibatch_size: int) -> None:
        count = max(1, min(threads, minibatch_size // FEWEST_SAMPLES))
        self._networks = [network, *(_sharing_weights(network) for _ in range(count - 1))]
        self._parameters = [list(lane.parameters()) for lane in self._networks]
        if count > 1:
            each = max(1, threads // count)
            torch.set_num_threads(each)
            # The number of threads is a property of the thread that starts them.
            self._pool = ThreadPoolExecutor(count - 1, "lane", torch.set_num_threads, (each,))

    @property
    def count(self) -> int:
        """How many parts a minibatch is learned in."""
        return len(self._networks)

    def learn(self, samples: int, learn: Learn) -> torch.Tensor:
        """Let each lane learn its part and sum the gradients in the network's own.

        Args:
            samples: How many samples there are to learn.
            learn: Given a network and which of the samples, does the passes and returns outputs.

        Returns:
            The outputs for all samples.
        """
        if self.count == 1:
            return learn(self._networks[0], slice(0, samples))
        bounds = [samples * lane // self.count for lane in range(self.count + 1)]
        parts = [slice(*pair) for pair in pairwise(bounds)]
        others = [
            self._pool.submit(learn, lane, part)
            for lane, part in zip(self._networks[1:], parts[1:], strict=True)
        ]
        outputs = [learn(self._networks[0], parts[0])]
        outputs += [other.result() for other in others]
        # In the order of the lanes, so that the same seed gives the same sums.
        for lane in self._parameters[1:]:
            for total, parameter in zip(self._parameters[0], lane, strict=True):
                if total.grad is not None and parameter.grad is not None:
                    total.grad += parameter.grad
                parameter.grad = None
        return torch.cat(outputs)

    def close(self) -> None:
        """End the threads."""
        if self.count > 1:
            self._pool.shutdown()


def _sharing_weights(network: torch.nn.Module) -> torch.nn.Module:
    """Return a network whose weights are in the same memory."""
    other = deepcopy(network)
    other.load_state_dict(network.state_dict(), assign=True)
    return other

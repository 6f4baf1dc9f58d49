"""Threads that each learn a part of a minibatch: one network's weights, their own gradients.

PyTorch's own threads share each operation. This network's are so short that the threads would meet
hundreds of times in a step of five milliseconds; these meet once.
"""

from collections.abc import Callable, Iterator
from copy import deepcopy
from itertools import pairwise
from queue import SimpleQueue
from threading import Thread

import torch

# A part of fewer samples costs more a sample.
FEWEST_SAMPLES = 32

Learn = Callable[[torch.nn.Module, slice], torch.Tensor]


class Lanes:
    """Runs a step's forward and backward passes, on a CPU in a thread for each of its processors.

    The weights, and the gradients of each lane, lie in one tensor each: one operation then does for
    all ten parameters, which are small.

    Args:
        network: The network to train; its parameters and gradients become views of two tensors.
        dtype: What the lanes compute in. The weights themselves, and sums of the lanes' gradients,
            are of single precision in any case.
        threads: How many threads there are in all; one where the network is not on a CPU.
        minibatch_size: How many samples a step takes.
    """

    def __init__(
        self, network: torch.nn.Module, dtype: torch.dtype, threads: int, minibatch_size: int
    ) -> None:
        self.count = max(1, min(threads, minibatch_size // FEWEST_SAMPLES))
        with torch.no_grad():
            flat = torch.cat([_in_memory_order(weights) for weights in network.parameters()])
        #: All weights of the network.
        self.weights = flat
        #: The gradients of all weights, summed over the lanes.
        self.gradients = torch.zeros_like(flat)
        self._computed = flat.to(dtype)  # the weights themselves, if they are of it
        self._gradients = self._computed.new_zeros(self.count, len(flat))
        self._networks = [deepcopy(network) for _ in range(self.count)]
        for lane, gradients in zip(self._networks, self._gradients, strict=True):
            _bind(lane, self._computed, gradients)
        _bind(network, self.weights, self.gradients)
        each = max(1, threads // self.count)
        if self.count > 1:
            torch.set_num_threads(each)
        pairs = zip(self._networks[1:], self._gradients[1:], strict=True)
        self._others = [_Lane(*pair, each) for pair in pairs]

    def learn(self, samples: int, learn: Learn) -> torch.Tensor:
        """Let each lane learn its part and sum the gradients.

        Args:
            samples: How many samples there are to learn.
            learn: Given a network and which of the samples, does the passes and returns outputs.

        Returns:
            The outputs for all samples.
        """
        self._computed.copy_(self.weights)
        bounds = [samples * lane // self.count for lane in range(self.count + 1)]
        own, *parts = [slice(*pair) for pair in pairwise(bounds)]
        for lane, part in zip(self._others, parts, strict=True):
            lane.start(learn, part)
        try:
            self._gradients[0].zero_()
            outputs = [learn(self._networks[0], own)]
        finally:
            found = [lane.finish() for lane in self._others]
        outputs += [_outputs_of(result) for result in found]
        torch.sum(self._gradients, 0, dtype=self.weights.dtype, out=self.gradients)
        return torch.cat(outputs)

    def close(self) -> None:
        """End the threads."""
        for lane in self._others:
            lane.close()


class _Lane:
    """A thread with a network, and two bare queues: an executor's futures are not needed here."""

    def __init__(self, network: torch.nn.Module, gradients: torch.Tensor, threads: int) -> None:
        self._network = network
        self._gradients = gradients
        self._parts: SimpleQueue[tuple[Learn, slice] | None] = SimpleQueue()
        self._results: SimpleQueue[torch.Tensor | Exception] = SimpleQueue()
        self._thread = Thread(target=self._run, args=(threads,), name="lane", daemon=True)
        self._thread.start()

    def start(self, learn: Learn, part: slice) -> None:
        self._parts.put((learn, part))

    def finish(self) -> torch.Tensor | Exception:
        return self._results.get()

    def close(self) -> None:
        self._parts.put(None)
        self._thread.join()

    def _run(self, threads: int) -> None:
        # The number of threads is a property of the thread that starts them.
        torch.set_num_threads(threads)
        for learn, part in iter(self._parts.get, None):
            self._results.put(self._learned(learn, part))

    def _learned(self, learn: Learn, part: slice) -> torch.Tensor | Exception:
        try:
            self._gradients.zero_()
            return learn(self._network, part)
        except Exception as error:  # noqa: BLE001 -- raised in the thread that waits
            return error


def _outputs_of(result: torch.Tensor | Exception) -> torch.Tensor:
    if isinstance(result, Exception):
        raise result
    return result


def _in_memory_order(weights: torch.Tensor) -> torch.Tensor:
    """Return a parameter's numbers as they lie in memory, channels last or not."""
    return weights.as_strided((weights.numel(),), (1,))


def _bind(network: torch.nn.Module, weights: torch.Tensor, gradients: torch.Tensor) -> None:
    """Let a network take its weights from one tensor and add its gradients to another."""
    for parameter, start in zip(network.parameters(), _starts(network), strict=True):
        layout = parameter.shape, parameter.stride()
        parameter.data = weights[start:].as_strided(*layout)
        parameter.grad = gradients[start:].as_strided(*layout)


def _starts(network: torch.nn.Module) -> Iterator[int]:
    start = 0
    for parameter in network.parameters():
        yield start
        start += parameter.numel()

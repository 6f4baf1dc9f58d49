"""Training with PyTorch, on one device or on several that share each minibatch."""

import ctypes
import ipaddress
import os
import platform
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import distributed
from torch.nn.functional import cross_entropy

from . import torch_pooling
from .engine import TEST_BATCH, Engine
from .errors import InputError
from .processes import torch_place
from .samples import SIDE, Samples
from .schedule import learning_rate_per_sample, momentum, order_of, random_of, shares_of
from .torch_lanes import Lanes
from .torch_network import HIDDEN, KEPT_SHARE, ConvNet
from .torch_onnx import export_onnx


class TorchEngine(Engine):
    """The network, trained by PyTorch.

    On a CPU the same seed and number of threads give the same network.

    Args:
        training: The samples to learn.
        minibatch_size: After how many samples, over all processes, the network is changed.
        seed: Where the random numbers start.
        device: ``auto``, ``cpu`` or ``cuda``.

    Raises:
        InputError: The device does not exist, or the other processes cannot be reached.
    """

    name = "torch"
    model_suffix = ".pt"

    def __init__(self, training: Samples, minibatch_size: int, seed: int, device: str) -> None:
        self.rank, self._processes = torch_place()
        self._device = _device_of(device)
        if self._device.type == "cpu":
            _keep_freed_memory()
            _share_processors(self._processes)
        self._minibatch_size = minibatch_size
        self._seed = seed
        self._dtype = _fastest_dtype(self._device)
        bf16_on_cpu = self._device.type == "cpu" and self._dtype == torch.bfloat16
        self._in_c = bf16_on_cpu and torch_pooling.compiled() is not None
        self._images = self._on_device(training.images)
        self._labels = torch.from_numpy(training.labels).to(self._device)
        network = ConvNet(seed)
        # Channels last makes pooling several times faster on a CPU, and suits tensor cores.
        self._network = network.to(self._device, memory_format=torch.channels_last)  # type: ignore[call-overload] # torch lacks this overload
        self._threads = torch.get_num_threads()
        if self._processes > 1:
            _join(self._device, self._processes)
        lanes = self._threads if self._device.type == "cpu" else 1
        self._lanes = Lanes(self._network, self._dtype, lanes, minibatch_size // self._processes)
        self._velocity = torch.zeros_like(self._lanes.weights)

    def describe(self) -> str:
        """Return the engine and its device in words."""
        where = f"cpu, {self._threads} threads"
        if self._device.type == "cuda":
            where = f"cuda, {torch.cuda.get_device_name(self._device)}"
        where += ", bf16" if self._dtype == torch.bfloat16 else ""
        where += ", pooling in C" if self._in_c else ""
        where += f", {self._processes} processes" if self._processes > 1 else ""
        return f"PyTorch {torch.__version__}, device: {where}"

    def train_epoch(self, epoch: int) -> tuple[float, int]:
        """Learn every sample once, in random order; see :meth:`Engine.train_epoch`."""
        rate, kept_past = learning_rate_per_sample(epoch), momentum(epoch, self._minibatch_size)
        samples = len(self._labels)
        order = torch.from_numpy(order_of(self._seed, epoch, samples)).to(self._device)
        images, labels, kept = self._images[order], self._labels[order], self._kept(epoch, samples)
        # Asking for a loss in each step would wait for the device there, so that the outputs stay
        # on it, and losses and errors are worked out of all of them once.
        shares = shares_of(samples, self._minibatch_size, self.rank, self._processes)
        outputs = torch.zeros((samples, 10), device=self._device)
        for first, last in shares:
            part = slice(first, last)
            outputs[part] = self._learn(images[part], labels[part], kept[part])
            # CNTK averages gradients, so that momentum does not add to the rate ("unit gain").
            self._velocity.lerp_(self._lanes.gradients, 1 - kept_past)
            self._lanes.weights.sub_(self._velocity, alpha=rate)
        own = torch.cat([torch.arange(*share) for share in shares]).to(self._device)
        outputs, labels = outputs[own], labels[own]
        loss_sum = cross_entropy(outputs.double(), labels, reduction="sum")
        errors = (outputs.argmax(1) != labels).sum()
        if self._processes > 1:
            distributed.all_reduce(loss_sum)
            distributed.all_reduce(errors)
        return float(loss_sum), int(errors)

    def agree_on(self, number: int) -> bool:
        """Tell whether all processes give the same number; see :meth:`Engine.agree_on`."""
        if self._processes == 1:
            return True
        bounds = torch.tensor([number, -number], device=self._device)
        distributed.all_reduce(bounds, distributed.ReduceOp.MAX)
        return int(bounds.sum()) == 0  # the greatest less the least of them

    def count_errors(self, samples: Samples) -> int:
        """Return how many samples the network takes for another digit."""
        errors = 0
        with torch.no_grad():
            for start in range(0, len(samples), TEST_BATCH):
                part = slice(start, start + TEST_BATCH)
                found = self._network(self._on_device(samples.images[part])).argmax(1)
                errors += int((found.cpu() != torch.from_numpy(samples.labels[part])).sum())
        return errors

    def save_model(self, path: Path) -> None:
        """Write the parameters of the network, as CPU tensors, to a file."""
        state = {name: tensor.cpu() for name, tensor in self._network.state_dict().items()}
        _save(state, path)

    def save_onnx(self, path: Path) -> None:
        """Write the network as ONNX, for any number of images at once."""
        export_onnx(self._network, path)

    def save_state(self, path: Path) -> None:
        """Write the network and its velocity; see :meth:`Engine.save_state`."""
        if self.is_first:
            state = {"network": self._network.state_dict(), "velocity": self._velocity}
            _save(state, path)

    def load_state(self, path: Path) -> None:
        """Go on from what :meth:`save_state` wrote."""
        state = torch.load(path, map_location=self._device, weights_only=True)
        before = {name: value.clone() for name, value in self._network.state_dict().items()}
        try:
            self._network.load_state_dict(state["network"])
            self._velocity.copy_(state["velocity"])
        except Exception:
            # A training that then begins anew must not begin with the weights of another.
            self._network.load_state_dict(before)
            raise

    def close(self) -> None:
        """End the threads and leave the other processes."""
        self._lanes.close()
        if self._processes > 1:
            distributed.destroy_process_group()

    def _learn(
        self, images: torch.Tensor, labels: torch.Tensor, kept: torch.Tensor
    ) -> torch.Tensor:
        """Return what this process's part of a minibatch gave; set the gradients, of all of it."""

        def learn(network: torch.nn.Module, part: slice) -> torch.Tensor:
            outputs: torch.Tensor = network(images[part], kept[part])
            # The sum, not the mean, because the rate is per sample; so a short last minibatch
            # counts for what it is.
            loss = cross_entropy(outputs.float(), labels[part], reduction="sum")
            loss.backward()  # type: ignore[no-untyped-call] # untyped in torch
            return outputs.detach()

        outputs = self._lanes.learn(len(labels), learn)
        if self._processes > 1:
            # What DistributedDataParallel does, but of one tensor, and in single precision.
            distributed.all_reduce(self._lanes.gradients)
        return outputs

    def _kept(self, epoch: int, samples: int) -> torch.Tensor:
        """Draw what dropout keeps in an epoch, the same in each process and after each resume."""
        seed = int(random_of(self._seed, epoch, 1).randint(1 << 31))
        generator = torch.Generator(self._device).manual_seed(seed)
        kept = torch.rand((samples, HIDDEN), generator=generator, device=self._device)
        return kept.lt_(KEPT_SHARE).div_(KEPT_SHARE).to(self._dtype)

    def _on_device(self, images: NDArray[np.generic]) -> torch.Tensor:
        # The copy is of what may be mapped from a file that cannot be written to.
        copied = torch.from_numpy(np.array(images))
        return copied.reshape(-1, 1, SIDE, SIDE).to(self._device)


def _save(state: dict[str, Any], path: Path) -> None:
    # Given a path, PyTorch writes its name into the file, and this one is temporary.
    with path.open("wb") as file:
        torch.save(state, file)


def _device_of(name: str) -> torch.device:
    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise InputError(f"--device cuda: PyTorch {torch.__version__} finds none")
    if name == "cpu" or not available:
        return torch.device("cpu")
    local = os.environ.get("LOCAL_RANK") or "0"
    number = int(local) % torch.cuda.device_count() if local.isdigit() else 0
    torch.cuda.set_device(number)
    return torch.device("cuda", number)


def _fastest_dtype(device: torch.device) -> torch.dtype:
    """Return what to compute a step in: bf16 where there are matrix units for it.

    The weights stay in single precision.
    """
    if device.type == "cuda":
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        # Older versions of PyTorch cannot tell.
        capabilities = (
            torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
        )
        fast = bool(capabilities.get("amx_bf16"))
    return torch.bfloat16 if fast else torch.float32


def _join(device: torch.device, processes: int) -> None:
    """Meet the other processes at MASTER_ADDR and MASTER_PORT."""
    backend = "nccl" if device.type == "cuda" else "gloo"
    try:
        distributed.init_process_group(backend)
    except (RuntimeError, ValueError, OSError) as error:
        where = ":".join(os.environ.get(name, "?") for name in ("MASTER_ADDR", "MASTER_PORT"))
        reason = str(error).strip().split("\n")[0]
        raise InputError(f"the {processes} processes cannot meet at {where}: {reason}") from None


def _share_processors(processes: int) -> None:
    """Take a fair share of the threads where the processes are on one machine.

    Twice as many threads as processors wait for each other most of the time.
    """
    if "OMP_NUM_THREADS" in os.environ or processes == 1:
        return
    local = os.environ.get("LOCAL_WORLD_SIZE", "")
    here = max(1, int(local)) if local.isdigit() else 1
    if _is_loopback(os.environ.get("MASTER_ADDR", "")):
        here = processes
    torch.set_num_threads(max(1, torch.get_num_threads() // here))


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"


def _keep_freed_memory() -> None:
    """Tell glibc to keep what a step frees for the next step.

    It would hand blocks of several MB back to the kernel and fault them in again in every step,
    which costs a tenth to a third of the time of a step.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    trim_threshold, mmap_threshold = -1, -3  # from malloc.h
    library = ctypes.CDLL(None)
    library.mallopt(mmap_threshold, 1 << 30)
    library.mallopt(trim_threshold, (1 << 31) - 1)

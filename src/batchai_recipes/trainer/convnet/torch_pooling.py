"""Max pooling with rectification, by a function of PyTorch's or by one in C.

PyTorch pools bf16 on a CPU value by value, and remembers the largest by eight bytes each: without
the C, this takes a third of a training step. The C takes a fifth of that; it is compiled, in an
eighth of a second, by whatever compiler the machine has, and where it has none nothing is missing
but speed. ``CC`` names another compiler than ``cc``, and ``CC=`` none.
"""

import ctypes
import os
import shlex
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch.nn.functional import max_pool2d

SOURCE = Path(__file__).with_suffix(".c")

# For the very processor it runs on, so that what is compiled is never kept.
_OPTIONS = ("-std=gnu11", "-O3", "-march=native", "-shared", "-fPIC")
# A compiler takes so long only if it waits for something, such as a server of licences.
_TIMEOUT = 20.0
_LAYOUT = torch.channels_last
# As in the C: how many channels are taken at once, and the first convolution's form.
_WIDTH = 16
_SIZE, _EDGE, _ROW = 5, 2, 8
# The functions, and how many tensors each takes before the sizes.
_TENSORS = {"pool": 3, "pool_gradient": 3, "first_gradients": 6}


def pooled(values: torch.Tensor) -> torch.Tensor:
    """Return the largest of each 3 x 3 values, at least 0, of every second row and column.

    The largest of rectified values is the rectified largest value, and pooling first leaves a
    quarter of the values to rectify.

    Args:
        values: N x channels x height x width, of at least 3 x 3.
    """
    if _is_for_c(values, values.shape[1]) and compiled() is not None:
        result: torch.Tensor = _PooledByC.apply(values)  # type: ignore[no-untyped-call] # untyped in torch
        return result
    return max_pool2d(values, 3, 2).relu_()


def convolved_and_pooled(images: torch.Tensor, layer: torch.nn.Conv2d) -> torch.Tensor:
    """Return what :func:`pooled` gives of a convolution of images of one channel.

    Args:
        images: N x 1 x height x width; nobody wants their gradient.
        layer: The convolution, of 5 x 5 weights, padded so that images keep their size.
    """
    if _is_for_c(images, layer.out_channels) and compiled() is not None:
        result: torch.Tensor = _ConvolvedAndPooledByC.apply(images, layer.weight, layer.bias)  # type: ignore[no-untyped-call] # untyped in torch
        return result
    return pooled(layer(images))


@cache
def compiled() -> ctypes.CDLL | None:
    """Return the functions in C; None where there is no compiler, or none that can compile them."""
    try:
        functions = _compile(shlex.split(os.environ.get("CC", "cc")))
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    for name, tensors in _TENSORS.items():
        pointers, sizes = [ctypes.c_void_p] * tensors, [ctypes.c_int64] * 4
        getattr(functions, name).argtypes = [*pointers, *sizes]
    return functions


def _compile(compiler: list[str]) -> ctypes.CDLL:
    if not compiler:
        raise ValueError("no compiler is wanted")
    with tempfile.TemporaryDirectory(prefix="convnet-") as folder:
        library = Path(folder, "pooling.so")
        subprocess.run(  # noqa: S603 - what the user chose to compile with
            [*compiler, *_OPTIONS, "-o", library, SOURCE],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=True,
            timeout=_TIMEOUT,
        )
        return ctypes.CDLL(str(library))


class _PooledByC(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: torch.Tensor) -> torch.Tensor:
        largest, places = _largest_of(values)
        ctx.save_for_backward(places)
        ctx.shape = values.shape
        return largest

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> torch.Tensor:
        (places,) = ctx.saved_tensors
        given = gradients[0].contiguous(memory_format=_LAYOUT)
        result = torch.empty(ctx.shape, dtype=given.dtype, memory_format=_LAYOUT)
        _call("pool_gradient", ctx.shape, given, places, result)
        return result


class _ConvolvedAndPooledByC(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, images: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor
    ) -> torch.Tensor:
        largest, places = _largest_of(torch.conv2d(images, weight, bias, padding=_EDGE))
        ctx.save_for_backward(images, places)
        return largest

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        images, places = ctx.saved_tensors
        given = gradients[0].contiguous(memory_format=_LAYOUT)
        count, channels = given.shape[:2]
        height, width = images.shape[2:]
        padded = torch.zeros((height + 2 * _EDGE) * (width + 2 * _EDGE) + _ROW)
        weights, biases = torch.zeros(channels, 1, _SIZE, _ROW), torch.zeros(channels)
        shape = torch.Size((count, channels, height, width))
        _call("first_gradients", shape, images, given, places, padded, weights, biases)
        return None, weights[..., :_SIZE].to(given.dtype), biases.to(given.dtype)


def _largest_of(values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the largest values, and which of its nine each of them is."""
    values = values.contiguous(memory_format=_LAYOUT)  # as it is, if it was computed from such
    images, channels, height, width = values.shape
    shape = images, channels, (height - 1) // 2, (width - 1) // 2
    largest = torch.empty(shape, dtype=values.dtype, memory_format=_LAYOUT)
    places = torch.empty(shape, dtype=torch.uint8, memory_format=_LAYOUT)
    _call("pool", values.shape, values, largest, places)
    return largest, places


def _call(name: str, shape: torch.Size, *tensors: torch.Tensor) -> None:
    images, channels, height, width = shape
    pointers = [tensor.data_ptr() for tensor in tensors]
    # Other threads go on meanwhile.
    getattr(compiled(), name)(*pointers, images, height, width, channels)


def _is_for_c(values: torch.Tensor, channels: int) -> bool:
    return (
        values.dtype == torch.bfloat16
        and values.device.type == "cpu"
        and channels % _WIDTH == 0
        and values.is_contiguous(memory_format=_LAYOUT)
    )

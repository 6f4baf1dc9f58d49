"""Tests of `batchai_recipes.trainer.convnet.torch_pooling`."""

import shutil

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from batchai_recipes.trainer.convnet import torch_pooling  # noqa: E402 - needs PyTorch
from batchai_recipes.trainer.convnet.torch_pooling import (  # noqa: E402 - likewise
    compiled,
    convolved_and_pooled,
    pooled,
)

functional = torch.nn.functional
needs_compiler = pytest.mark.skipif(not shutil.which("cc"), reason="no C compiler")

# Even and odd, with one row or column more than the windows cover, or none.
SHAPES = [(2, 32, 13, 13), (3, 48, 11, 12), (1, 16, 3, 28), (2, 16, 4, 3), (1, 32, 28, 28)]


@pytest.fixture
def fresh(monkeypatch):
    """What was compiled before is forgotten, before and after."""
    compiled.cache_clear()
    yield monkeypatch
    compiled.cache_clear()


def values_of(*shape, seed=1):
    """Random bf16, channels last, with many that are equal and many below 0."""
    generator = torch.Generator().manual_seed(seed)
    values = torch.randint(-4, 9, shape, generator=generator) / 4
    return values.to(torch.bfloat16).contiguous(memory_format=torch.channels_last)


def gradients_of(output, *inputs):
    """Gradients of a sum of which each term has another weight, exact in bf16."""
    weights = values_of(*output.shape, seed=2)
    return torch.autograd.grad(output, inputs, weights)


@needs_compiler
@pytest.mark.parametrize("shape", SHAPES)
def test_the_c_gives_what_pytorch_does(shape):
    """To the last bit: of equal values, the first has the gradient, and none at 0."""
    values = values_of(*shape).requires_grad_()
    # In single precision PyTorch adds up to four gradients without rounding, too.
    same = values.detach().float().requires_grad_()
    expected = functional.max_pool2d(same, 3, 2).relu()

    found = pooled(values)

    assert type(found.grad_fn).__name__ == "_PooledByCBackward"
    assert torch.equal(expected, found.float())
    assert torch.equal(
        gradients_of(expected.bfloat16(), same)[0], gradients_of(found, values)[0].float()
    )


@needs_compiler
@pytest.mark.parametrize("shape", [(3, 32, 28, 28), (2, 16, 9, 12)])
def test_the_first_layers_gradients_are_pytorchs(shape):
    """But for rounding: the C adds in single precision."""
    count, channels, height, width = shape
    layer = torch.nn.Conv2d(1, channels, 5, padding=2).bfloat16()
    images = values_of(count, 1, height, width)
    # Exactly what is pooled, so that the same of several values is the largest.
    convolved = layer(images).float().detach().requires_grad_()
    expected = functional.max_pool2d(convolved, 3, 2).relu()
    (spread,) = gradients_of(expected.bfloat16(), convolved)

    found = convolved_and_pooled(images, layer)
    weight, bias = gradients_of(found, layer.weight, layer.bias)

    assert type(found.grad_fn).__name__ == "_ConvolvedAndPooledByCBackward"
    assert torch.equal(expected, found.float())
    of_weight = torch.nn.grad.conv2d_weight(images.float(), weight.shape, spread, padding=2)
    torch.testing.assert_close(of_weight, weight.float(), rtol=1e-2, atol=1e-3)
    torch.testing.assert_close(spread.sum((0, 2, 3)), bias.float(), rtol=1e-2, atol=1e-3)


@needs_compiler
@pytest.mark.parametrize("value", [float("nan"), -float("nan"), float("inf"), -float("inf"), -0.0])
def test_what_is_no_number_is_not_lost(value):
    """A network whose weights are not finite shows it, as it does without the C."""
    values = torch.full((1, 16, 3, 3), value, dtype=torch.bfloat16)
    values = values.contiguous(memory_format=torch.channels_last)
    expected = functional.max_pool2d(values, 3, 2).relu()

    torch.testing.assert_close(expected, pooled(values), rtol=0, atol=0, equal_nan=True)


@needs_compiler
def test_the_layout_of_gradients_does_not_matter():
    """They come channels last or not, from whatever followed."""
    values = values_of(2, 16, 7, 7).requires_grad_()
    output = pooled(values)
    weights = values_of(*output.shape)

    (one,) = torch.autograd.grad(output, values, weights, retain_graph=True)
    (other,) = torch.autograd.grad(output, values, weights.contiguous())

    assert torch.equal(one, other)


@pytest.mark.parametrize(
    "values",
    [
        torch.ones(1, 16, 5, 5),
        torch.ones(1, 10, 5, 5, dtype=torch.bfloat16).contiguous(memory_format=torch.channels_last),
        torch.ones(1, 16, 5, 5, dtype=torch.bfloat16),
    ],
    ids=["single precision", "channels", "layout"],
)
def test_pytorch_pools_what_the_c_cannot(values):
    """Other types, numbers of channels and layouts."""
    found = pooled(values.requires_grad_())

    assert "ByC" not in type(found.grad_fn).__name__
    assert found.shape == (1, values.shape[1], 2, 2)


@pytest.mark.parametrize("compiler", ["", "false", "/nowhere/cc", "true", "'cc"])
def test_without_a_compiler_nothing_is_missing(fresh, compiler):
    """None, one that fails, one that is not there, one that makes nothing, and a lone quote."""
    fresh.setenv("CC", compiler)
    values = values_of(2, 16, 5, 5).requires_grad_()

    assert compiled() is None
    assert torch.equal(functional.max_pool2d(values, 3, 2).relu(), pooled(values))
    layer = torch.nn.Conv2d(1, 16, 5, padding=2).bfloat16()
    assert convolved_and_pooled(values_of(2, 1, 5, 5), layer).shape == (2, 16, 2, 2)


def test_a_compiler_that_waits_is_given_up(fresh, tmp_path):
    """It is ended, and nothing of it is left."""
    slow = tmp_path / "cc"
    slow.write_text("#!/bin/sh\nexec sleep 60\n")
    slow.chmod(0o755)
    fresh.setenv("CC", str(slow))
    fresh.setattr(torch_pooling, "_TIMEOUT", 0.05)

    assert compiled() is None


@needs_compiler
def test_cc_may_have_arguments_and_leaves_no_file(fresh, tmp_path):
    """As Make has it; the library is removed once it is loaded."""
    fresh.setenv("CC", "cc -DNOTHING")
    fresh.setenv("TMPDIR", str(tmp_path))
    fresh.setattr("tempfile.tempdir", None)

    assert compiled() is not None
    assert list(tmp_path.iterdir()) == []

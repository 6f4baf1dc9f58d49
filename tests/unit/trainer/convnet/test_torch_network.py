"""Tests of `batchai_recipes.trainer.convnet.torch_network`."""

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from batchai_recipes.trainer.convnet.torch_network import ConvNet  # noqa: E402 - needs PyTorch

functional = torch.nn.functional


def test_the_network_is_that_of_cntks_example():
    """Only the first convolution is padded, and rectification comes before pooling."""
    network = ConvNet().eval()
    state = network.state_dict()
    images = torch.randint(0, 256, (5, 1, 28, 28), dtype=torch.uint8)

    def layer(hidden, name, padding=0):
        return functional.conv2d(
            hidden, state[f"{name}.weight"], state[f"{name}.bias"], padding=padding
        ).relu()

    hidden = functional.max_pool2d(layer(images / 256, "conv1", padding=2), 3, 2)
    hidden = functional.max_pool2d(layer(hidden, "conv2"), 3, 2)
    hidden = layer(hidden, "conv3").flatten(1)
    hidden = (hidden @ state["dense4.weight"].T + state["dense4.bias"]).relu()
    expected = hidden @ state["dense5.weight"].T + state["dense5.bias"]

    assert [len(state[f"conv{number}.weight"]) for number in (1, 2, 3)] == [32, 48, 64]
    assert state["dense4.weight"].shape == (96, 576)
    torch.testing.assert_close(expected, network(images))

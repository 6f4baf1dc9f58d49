"""The network of CNTK's example as a module of PyTorch."""

import torch

from .samples import CLASSES, SIDE
from .torch_pooling import convolved_and_pooled, pooled

HIDDEN = 96
KEPT_SHARE = 0.5


class ConvNet(torch.nn.Module):
    """Three convolutions and two dense layers; only the first convolution is padded.

    Args:
        seed: Where the random numbers of the first weights start.
    """

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        self.conv1 = torch.nn.Conv2d(1, 32, 5, padding=2)
        self.conv2 = torch.nn.Conv2d(32, 48, 3)
        self.conv3 = torch.nn.Conv2d(48, 64, 3)
        self.dense4 = torch.nn.Linear(64 * 3 * 3, HIDDEN)
        self.dense5 = torch.nn.Linear(HIDDEN, CLASSES)
        generator = torch.Generator().manual_seed(seed)
        for layer in (self.conv1, self.conv2, self.conv3, self.dense4, self.dense5):
            weight, *bias = layer.parameters()
            torch.nn.init.xavier_uniform_(weight, generator=generator)
            torch.nn.init.zeros_(bias[0])

    def forward(self, images: torch.Tensor, kept: torch.Tensor | None = None) -> torch.Tensor:
        """Return how much each image looks like each digit.

        Args:
            images: Grey levels, N x 1 x 28 x 28.
            kept: What dropout multiplies the hidden layer by, N x 96, zeros and twos; None when the
                network is used and not trained. It is drawn outside, so that several processes can
                draw what one would.

        Returns:
            Logits, N x 10.
        """
        # In bf16 too a grey level is exact, having eight bits.
        hidden = images.to(self.conv1.weight.dtype) * (1 / 256)
        # With a single channel both layouts are one; saying which is meant lets a CPU's convolution
        # choose its kernel for it.
        hidden = hidden.reshape(-1, SIDE, SIDE, 1).permute(0, 3, 1, 2)
        hidden = convolved_and_pooled(hidden, self.conv1)
        hidden = pooled(self.conv2(hidden))
        hidden = self.conv3(hidden).relu_().flatten(1)
        hidden = self.dense4(hidden).relu_()
        if kept is not None:
            hidden = hidden * kept
        return self.dense5(hidden)  # type: ignore[no-any-return] # modules are untyped calls

"""Fit a line with PyTorch on every node at once: the training script of pytorch_two_nodes.py.

It runs under torchrun as well: ``torchrun --nproc-per-node 2 data_parallel.py MODEL_DIR``.
"""

import os
import sys
from pathlib import Path

import torch
from torch import distributed, nn


def main(model_dir: Path, steps: int = 40) -> None:
    """Train on this rank's share of the points; gradients are averaged over all ranks."""
    distributed.init_process_group(os.environ.get("AZ_BATCHAI_PYTORCH_BACKEND", "gloo"))
    rank, size = distributed.get_rank(), distributed.get_world_size()
    print(f"rank {rank} of {size}", flush=True)

    points = torch.linspace(-1, 1, 64)[rank::size].unsqueeze(1)
    torch.manual_seed(rank)  # the ranks begin apart; the wrapper gives all of them rank 0's model
    model = nn.parallel.DistributedDataParallel(nn.Linear(1, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.3)
    for _ in range(steps):
        optimizer.zero_grad()
        torch.autograd.backward(nn.functional.mse_loss(model(points), 3 * points + 1))
        optimizer.step()

    line = model.module
    print(f"y = {line.weight.item():.2f} x + {line.bias.item():.2f}", flush=True)
    if rank == 0:
        torch.save(line.state_dict(), model_dir / "line.pt")
    distributed.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]))

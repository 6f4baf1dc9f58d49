"""Fit a line with PyTorch on every node at once: the training script of pytorch_two_nodes.py.

It runs under torchrun as well: ``torchrun --nproc-per-node 2 data_parallel.py MODEL_DIR``.
"""

import os
import sys
from pathlib import Path

import torch

# Before there is a process group: the functions in it would keep the group, and its threads, alive
# beyond destroy_process_group, and such a thread now and then aborts the process at its end.
import torch.distributed.nn.functional
from torch import distributed, nn


def main(model_dir: Path) -> None:
    """Meet the other ranks, fit the line with them, and save it."""
    distributed.init_process_group(os.environ.get("AZ_BATCHAI_PYTORCH_BACKEND", "gloo"))
    rank, size = distributed.get_rank(), distributed.get_world_size()
    print(f"rank {rank} of {size}", flush=True)

    line = fit(rank, size)
    print(f"y = {line.weight.item():.2f} x + {line.bias.item():.2f}", flush=True)
    if rank == 0:
        torch.save(line.state_dict(), model_dir / "line.pt")
    distributed.destroy_process_group()


def fit(rank: int, size: int, steps: int = 40) -> nn.Linear:
    """Train on this rank's share of the points; gradients are averaged over all ranks."""
    points = torch.linspace(-1, 1, 64)[rank::size].unsqueeze(1)
    torch.manual_seed(rank)  # the ranks begin apart; the wrapper gives all of them rank 0's model
    line = nn.Linear(1, 1)
    model = nn.parallel.DistributedDataParallel(line)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.3)
    for _ in range(steps):
        optimizer.zero_grad()
        torch.autograd.backward(nn.functional.mse_loss(model(points), 3 * points + 1))
        optimizer.step()
    return line


if __name__ == "__main__":
    main(Path(sys.argv[1]))

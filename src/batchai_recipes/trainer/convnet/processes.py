"""Which of several processes this one is, as those that start them tell in the environment."""

import os
from typing import Mapping, Optional, Tuple

from .errors import InputError

# What torchrun and the PyTorch toolkit of Batch AI set.
TORCH = ("RANK", "WORLD_SIZE")
# What `mpirun` of Open MPI, and of MPICH and its kin, set.
MPI = (("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"), ("PMI_RANK", "PMI_SIZE"))


def torch_place(environment: Optional[Mapping[str, str]] = None) -> Tuple[int, int]:
    """Return this process's rank and the number of processes for PyTorch.

    Args:
        environment: The variables; None for those of this process.

    Raises:
        InputError: The variables contradict each other, or only ``mpirun`` has set its own.

    Example:
        >>> torch_place({"RANK": "1", "WORLD_SIZE": "2"}), torch_place({})
        ((1, 2), (0, 1))
    """
    variables = os.environ if environment is None else environment
    place = _place(variables, *TORCH)
    if place is None and mpi_place(variables)[1] > 1:
        raise InputError(
            "mpirun started several processes, which PyTorch knows by RANK and WORLD_SIZE: run "
            "this as a job of the PyTorch toolkit, or with --engine cntk"
        )
    return place or (0, 1)


def mpi_place(environment: Optional[Mapping[str, str]] = None) -> Tuple[int, int]:
    """Return this process's rank and the number of processes that ``mpirun`` started.

    Args:
        environment: The variables; None for those of this process.

    Raises:
        InputError: The variables contradict each other.

    Example:
        >>> mpi_place({"OMPI_COMM_WORLD_RANK": "0", "OMPI_COMM_WORLD_SIZE": "4"}), mpi_place({})
        ((0, 4), (0, 1))
    """
    variables = os.environ if environment is None else environment
    for rank, size in MPI:
        place = _place(variables, rank, size)
        if place is not None:
            return place
    return 0, 1


def _place(variables: Mapping[str, str], rank: str, size: str) -> Optional[Tuple[int, int]]:
    given = [variables.get(name, "") for name in (rank, size)]
    if not given[1]:
        return None
    try:
        place = int(given[0]), int(given[1])
    except ValueError:
        place = -1, 0
    if not 0 <= place[0] < place[1]:
        message = "{}={!r} and {}={!r} say nothing: expected a rank from 0 and a number above it"
        raise InputError(message.format(rank, given[0], size, given[1]))
    return place

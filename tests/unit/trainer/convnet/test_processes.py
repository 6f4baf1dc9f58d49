"""Tests of `batchai_recipes.trainer.convnet.processes`."""

import pytest

from batchai_recipes.trainer.convnet.errors import InputError
from batchai_recipes.trainer.convnet.processes import mpi_place, torch_place


def test_mpirun_of_either_kind_is_known():
    """Open MPI and MPICH have variables of their own."""
    assert mpi_place({"OMPI_COMM_WORLD_RANK": "1", "OMPI_COMM_WORLD_SIZE": "2"}) == (1, 2)
    assert mpi_place({"PMI_RANK": "3", "PMI_SIZE": "4"}) == (3, 4)


@pytest.mark.parametrize(
    "variables",
    [
        {"WORLD_SIZE": "2"},
        {"RANK": "2", "WORLD_SIZE": "2"},
        {"RANK": "-1", "WORLD_SIZE": "2"},
        {"RANK": "one", "WORLD_SIZE": "2"},
    ],
)
def test_variables_that_contradict_each_other_are_told(variables):
    """A process that does not know its place must not train for itself."""
    with pytest.raises(InputError, match="RANK=.* and WORLD_SIZE=.* say nothing"):
        torch_place(variables)


def test_pytorch_under_mpirun_alone_is_refused():
    """Otherwise each process would train the whole and overwrite the others' models."""
    with pytest.raises(InputError, match="PyTorch toolkit"):
        torch_place({"OMPI_COMM_WORLD_RANK": "0", "OMPI_COMM_WORLD_SIZE": "2"})


def test_pytorch_may_have_been_started_by_mpirun_with_its_own_variables():
    """Some start torchrun's variables by mpirun."""
    variables = {"OMPI_COMM_WORLD_RANK": "0", "OMPI_COMM_WORLD_SIZE": "2"}

    assert torch_place({**variables, "RANK": "1", "WORLD_SIZE": "2"}) == (1, 2)

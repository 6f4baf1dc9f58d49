"""PyTorch settings become one process for each rank."""

import pytest

from batchai_recipes.service.toolkits.pytorch import pytorch
from batchai_recipes.service.toolkits.toolkit import MPIRUN, RANK, ToolkitError

SCRIPT = "$AZ_BATCHAI_INPUT_SCRIPT/train.py"


@pytest.fixture
def ranks(toolkit_job):
    """Make the processes of PyTorch settings."""
    return lambda **settings: pytorch(toolkit_job(pythonScriptFilePath=SCRIPT, **settings))


def variables(process, *names):
    """Return some of a process's variables."""
    return [process.environment.get(name) for name in names]


def test_there_is_one_process_on_each_node_unless_told_otherwise(ranks):
    """All run the same command."""
    made = ranks(nodes=2, commandLineArgs="--epochs 2")
    assert [(one.node_index, one.index, one.role) for one in made] == [(0, 0, RANK), (1, 1, RANK)]
    assert {one.command_line for one in made} == {
        f'exec "/opt/venv/bin/python" "{SCRIPT}" --epochs 2'
    }


def test_each_finds_what_torchrun_sets(ranks):
    """Ranks are counted over all nodes and on each."""
    made = ranks(nodes=2, processCount=4)
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "GROUP_RANK")
    assert [variables(one, *names) for one in made] == [
        ["0", "4", "0", "2", "0"],
        ["1", "4", "1", "2", "0"],
        ["2", "4", "0", "2", "1"],
        ["3", "4", "1", "2", "1"],
    ]
    assert {tuple(variables(one, "MASTER_ADDR", "MASTER_PORT")) for one in made} == {
        ("10.0.0.4", "20000")
    }


def test_several_on_a_node_do_not_fight_for_its_cores(ranks):
    """As with torchrun; a single one has all of them."""
    assert ranks(nodes=1, processCount=2)[0].environment["OMP_NUM_THREADS"] == "1"
    assert "OMP_NUM_THREADS" not in ranks(nodes=2)[0].environment


@pytest.mark.parametrize(
    ("settings", "backend", "method"),
    [
        ({"address": "10.0.0.4"}, "gloo", "file:///jobs/uid/shared/pytorch"),
        ({"communicationBackend": "Gloo"}, "gloo", "tcp://10.0.0.4:20000"),
        ({"communicationBackend": "nccl"}, "nccl", "tcp://10.0.0.4:20000"),
        ({"gpus": 1}, "nccl", "tcp://10.0.0.4:20000"),
        ({"gpus": 1, "processCount": 3}, "gloo", "tcp://10.0.0.4:20000"),
        ({"communicationBackend": "TCP"}, "tcp", "tcp://10.0.0.4:20000"),
    ],
)
def test_the_backend_says_how_they_meet(ranks, settings, backend, method):
    """Without one it is NCCL where each rank has a GPU of its own, and gloo elsewhere.

    A file serves ranks of one machine only.
    """
    for one in ranks(nodes=2, **settings):
        names = ("AZ_BATCHAI_PYTORCH_BACKEND", "AZ_BATCHAI_PYTORCH_INIT_METHOD")
        assert variables(one, *names) == [backend, method]


def test_the_backend_mpi_leaves_the_ranks_to_mpirun(ranks):
    """Which tell a program its place in the same variables."""
    (made,) = ranks(nodes=2, communicationBackend="MPI")
    assert made.role is MPIRUN
    assert "RANK=$OMPI_COMM_WORLD_RANK" in made.command_line
    assert variables(made, "WORLD_SIZE", "MASTER_ADDR") == ["2", "10.0.0.4"]


def test_they_talk_over_the_interface_of_their_node(ranks):
    """Where the engine names one; else the frameworks choose."""
    assert ranks(interface="lo")[0].environment["GLOO_SOCKET_IFNAME"] == "lo"
    assert "GLOO_SOCKET_IFNAME" not in ranks()[0].environment


@pytest.mark.parametrize(
    ("settings", "hint"),
    [
        ({"pythonScriptFilePath": "t.py", "communicationBackend": "ucc"}, "gloo, nccl"),
        ({}, "pythonScriptFilePath is missing"),
    ],
)
def test_settings_that_cannot_run_are_refused_with_what_to_do(toolkit_job, settings, hint):
    """The message names the setting."""
    with pytest.raises(ToolkitError, match=hint):
        pytorch(toolkit_job(**settings))

"""TensorFlow settings become a master, workers and parameter servers."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchai_recipes.service.engines.engine import Node
from batchai_recipes.service.toolkits.tensorflow import tensorflow
from batchai_recipes.service.toolkits.toolkit import (
    MASTER,
    SERVER,
    WORKER,
    ToolkitError,
    ToolkitJob,
)

RECIPE = {
    "pythonScriptFilePath": "train.py",
    "masterCommandLineArgs": "--job_name=worker",
    "workerCommandLineArgs": "--job_name=worker",
    "parameterServerCommandLineArgs": "--job_name=ps",
}


@pytest.fixture
def made(toolkit_job):
    """Make the processes of TensorFlow settings."""
    return lambda **settings: tensorflow(toolkit_job(**settings))


def test_two_nodes_have_a_worker_each_and_one_parameter_server(made):
    """The first worker is the master; each role has its arguments."""
    processes = made(nodes=2, **RECIPE)
    assert [(one.role, one.index, one.node_index) for one in processes] == [
        (MASTER, 0, 0),
        (WORKER, 1, 1),
        (SERVER, 0, 0),
    ]
    assert [one.command_line.rpartition(" ")[2] for one in processes] == [
        "--job_name=worker",
        "--job_name=worker",
        "--job_name=ps",
    ]


def test_every_role_knows_the_cluster(made):
    """In Batch AI's variables the master is worker 0, in TF_CONFIG it is the master."""
    processes = made(nodes=2, **RECIPE)
    assert {one.environment["AZ_BATCHAI_WORKER_HOSTS"] for one in processes} == {
        "10.0.0.4:20000,10.0.0.5:20100"
    }
    assert {one.environment["AZ_BATCHAI_PS_HOSTS"] for one in processes} == {"10.0.0.4:20001"}
    configs = [json.loads(one.environment["TF_CONFIG"]) for one in processes]
    cluster = {
        "master": ["10.0.0.4:20000"],
        "worker": ["10.0.0.5:20100"],
        "ps": ["10.0.0.4:20001"],
    }
    assert [config["cluster"] for config in configs] == [cluster] * 3
    assert [config["task"] for config in configs] == [
        {"type": "master", "index": 0},
        {"type": "worker", "index": 0},
        {"type": "ps", "index": 0},
    ]
    assert {config["environment"] for config in configs} == {"cloud"}


def test_one_process_is_no_cluster(made):
    """It listens nowhere and has no TF_CONFIG, which Estimators would take for one."""
    (process,) = made(pythonScriptFilePath="train.py", masterCommandLineArgs="--steps 2")
    assert process.role is MASTER
    assert "TF_CONFIG" not in process.environment
    assert process.environment["AZ_BATCHAI_PS_HOSTS"] == ""


def test_a_missing_script_is_refused(made):
    """The message names the setting."""
    with pytest.raises(ToolkitError, match="pythonScriptFilePath is missing"):
        made(nodes=2)


@given(st.integers(1, 5), st.integers(1, 9), st.integers(1, 6))
def test_nobody_shares_an_address_and_everybody_has_its_own(nodes, workers, servers):
    """Whatever the numbers, each process finds itself in the cluster, and on its own node."""
    settings = {
        "pythonScriptFilePath": "t",
        "workerCount": workers,
        "parameterServerCount": servers,
    }
    job = ToolkitJob(
        settings,
        tuple(Node(f"h{index}", "/mounts", 0, {}) for index in range(nodes)),
        tuple({} for _ in range(nodes)),
        "python3",
        "/shared",
        lambda node, count: tuple(range(100 * node, 100 * node + count)),
    )
    processes = tensorflow(job)
    assert len(processes) == workers + servers
    for one in processes:
        config = json.loads(one.environment["TF_CONFIG"])
        hosts = [host for group in config["cluster"].values() for host in group]
        assert len(set(hosts)) == len(hosts) == workers + servers
        own = config["cluster"][config["task"]["type"]][config["task"]["index"]]
        assert own.partition(":")[0] == f"h{one.node_index}"
        kind = "PS" if one.role is SERVER else "WORKER"
        assert own == one.environment[f"AZ_BATCHAI_{kind}_HOSTS"].split(",")[one.index]

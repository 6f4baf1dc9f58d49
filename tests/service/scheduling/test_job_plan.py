"""The tasks that make up a job."""

from datetime import datetime, timezone

import pytest

from batchai_recipes.service.clock import SystemClock
from batchai_recipes.service.engines.simulated import SimulatedEngine
from batchai_recipes.service.scheduling.job_plan import plan_job
from batchai_recipes.service.scheduling.job_records import JobRecord

NOW = datetime(2018, 6, 6, tzinfo=timezone.utc)
OUTPUT = "/nodes/node-a/mounts/share/segment/stdouterr"


@pytest.fixture
def plan():
    """Plan a job of two nodes: ``plan(pyTorchSettings={...}, environmentVariables=[...])``."""
    engine = SimulatedEngine(SystemClock())
    for node in ("node-a", "node-b"):
        engine.prepare_node(node, ())

    def make(**properties):
        record = {
            "stdOutErrPathPrefix": "$AZ_BATCHAI_MOUNT_ROOT/share",
            "jobOutputDirectoryPathSegment": "segment",
            **properties,
        }
        values = {"node_count": 2, "started_at": NOW, "node_ids": ("node-a", "node-b")}
        values |= {"properties": record, "environment_secrets": {}, "account_keys": {}}
        texts = {"key": "job", "name": "job", "uid": "uid", "cluster_key": "c"}
        known = {field.name: None for field in JobRecord.__attrs_attrs__}
        job = JobRecord(**{**known, **texts, **values})
        return plan_job(job, engine, "/usr/bin/python3", NOW)

    return make


def variables(*pairs):
    """Write variables as they are sent over the wire."""
    return [{"name": name, "value": value} for name, value in pairs]


SCRIPT = {"pythonScriptFilePath": "/train.py"}


def test_each_rank_and_node_has_files_of_its_own(plan):
    """No two of them write to the same one, since they may be on different machines."""
    made = plan(pyTorchSettings=SCRIPT, jobPreparation={"commandLine": "true"})
    assert [task.stdout.rpartition("/")[2] for task in (*made.preparation, *made.processes)] == [
        "stdout-job_prep-node-a.txt",
        "stdout-job_prep-node-b.txt",
        "stdout-0.txt",
        "stdout-1.txt",
    ]
    assert made.processes[0].stderr == f"{OUTPUT}/stderr-0.txt"
    logs = [task.log.rpartition("/")[2] for task in made.processes]
    assert logs == ["execution.log", "execution-node-b.log"]


def test_a_users_variable_may_name_what_a_process_alone_has(plan):
    """Each process gets its own value."""
    given = variables(("ME", "$AZ_BATCHAI_TASK_INDEX of $WORLD_SIZE"))
    made = plan(pyTorchSettings=SCRIPT, environmentVariables=given)
    assert [task.environment["ME"] for task in made.processes] == ["0 of 2", "1 of 2"]


def test_a_users_variable_wins_over_the_toolkits(plan):
    """Unless it is one of Batch AI's own."""
    given = variables(("MASTER_PORT", "1234"), ("AZ_BATCHAI_TASK_INDEX", "9"))
    (first, _) = plan(pyTorchSettings=SCRIPT, environmentVariables=given).processes
    assert first.environment["MASTER_PORT"] == "1234"
    assert first.environment["AZ_BATCHAI_TASK_INDEX"] == "0"


def test_a_job_gives_the_same_tasks_whenever_it_is_planned(plan):
    """So that a service that died between two launches goes on where it was."""
    tensorflow = {**SCRIPT, "parameterServerCount": 2}
    assert plan(tensorFlowSettings=tensorflow) == plan(tensorFlowSettings=tensorflow)
    names = [task.key.name for task in plan(tensorFlowSettings=tensorflow).processes]
    assert names == ["master-0", "worker-1", "server-0", "server-1"]


def test_ranks_of_a_container_stay_in_the_masters_folders(plan):
    """Those of other nodes are not in it; on the host each rank takes those of its node."""
    container = {"imageSourceRegistry": {"image": "horovod"}}
    (task,) = plan(horovodSettings=SCRIPT, containerSettings=container).processes
    assert "/nodes/node-b/" in task.command_line
    assert "/nodes/node-b/" not in task.container.command_line
    assert "-np 2 " in task.container.command_line

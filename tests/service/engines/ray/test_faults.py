"""Machines, actors, the service and Ray's head fail: each job ends once, and as it should."""

import os
import re
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from ray_client import (
    GROUPS,
    NODES,
    WORKSPACE,
    Client,
    all_ended,
    jobs_of,
    machine_with_node,
    make_cluster,
    nodes_are_idle,
    nodes_in,
    submit,
    wait_until,
)
from ray_cluster import MACHINES

from batchai_recipes import ConnectionSettings

pytestmark = pytest.mark.slow
JOBS = 40


def test_each_job_ends_once_whatever_fails(client, in_ray_cluster, tmp_path):
    """An actor, a machine, the service and the head are killed in turn while forty jobs run."""
    cluster, starts = in_ray_cluster, tmp_path / "starts.txt"
    starts.touch()
    wait_until(lambda: nodes_are_idle(client))
    submit(client, tmp_path, JOBS)

    def have_begun(count):
        wait_until(lambda: len(starts.read_text().split()) >= count)

    have_begun(4)
    os.kill(wait_until(lambda: machine_with_node(cluster))[1], signal.SIGKILL)
    have_begun(10)
    machine, _ = wait_until(lambda: machine_with_node(cluster))
    machine.kill()
    have_begun(16)
    client.service.kill()
    client.service.start()
    have_begun(24)
    for machine in cluster.machines:
        machine.kill()
    cluster.start()
    jobs = wait_until(lambda: all_ended(jobs_of(client)))

    assert len(jobs) == JOBS
    begun = Counter(starts.read_text().split())
    lost = {}
    for number in range(JOBS):
        name = f"job-{number}"
        found = jobs[name]
        info = found["executionInfo"]
        if info.get("errors") and info["errors"][0]["code"] == "JobLost":
            assert found["executionState"] == "failed"
            lost[name] = info["errors"][0]["message"]
        else:
            state = "failed" if number % 3 else "succeeded"
            assert (found["executionState"], info["exitCode"]) == (state, number % 3), found
            assert begun[name] == 1
        assert begun[name] <= 1
    said = "\n".join([*(f"{name}: {why}" for name, why in lost.items()), client.service.log()])
    # A node that is lost had one job, and no more are than failed: an actor's, a machine's, all.
    nodes = [node for why in lost.values() for node in re.findall(r"node (tvm-\S+):", why)]
    assert len(nodes) == len(set(nodes)) == len(lost), said
    assert len(lost) <= 1 + 1 + NODES, said
    wait_until(lambda: nodes_are_idle(client))


def test_a_lost_actor_takes_its_task_with_it(client, in_ray_cluster, tmp_path):
    """Nothing of it runs on, the job says which node it lost, and another takes its place."""
    wait_until(lambda: nodes_are_idle(client))
    settings = ConnectionSettings.from_file(client.service.env_file)
    os.mkfifo(tmp_path / "up")
    body = {
        "cluster": {
            "id": f"/subscriptions/{settings.subscription_id}{WORKSPACE}/clusters/c",
        },
        "nodeCount": NODES,
        "stdOutErrPathPrefix": str(tmp_path / "logs"),
        "customToolkitSettings": {"commandLine": f"echo $$ > {tmp_path}/up; exec sleep 1000"},
    }
    client.ask("PUT", f"{WORKSPACE}/experiments/e/jobs/job", {"properties": body})
    task = int((tmp_path / "up").read_text())
    ancestors, pid = [], task
    while pid > 1:
        pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        ancestors.append(pid)
    (actor,) = [
        pid
        for machine in in_ray_cluster.machines
        for pid in machine.processes("ray::NodeActor")
        if pid in ancestors
    ]
    os.kill(actor, signal.SIGKILL)
    wait_until(lambda: not Path(f"/proc/{task}").exists())
    job = wait_until(lambda: (j := jobs_of(client)["job"])["executionState"] == "failed" and j)

    (error,) = job["executionInfo"]["errors"]
    assert error["code"] == "JobLost"
    assert "tvm-" in error["message"]
    wait_until(lambda: nodes_are_idle(client))


def test_what_is_deleted_leaves_nothing_in_ray(client, in_ray_cluster):
    """No actor, and no placement group."""
    wait_until(lambda: nodes_are_idle(client))
    assert len(nodes_in(in_ray_cluster)) == NODES
    client.ask("DELETE", f"{WORKSPACE}/clusters/c")
    wait_until(lambda: not nodes_in(in_ray_cluster))
    asked = [sys.executable, "-c", GROUPS, in_ray_cluster.address]
    wait_until(
        lambda: (
            subprocess.run(asked, capture_output=True, text=True, check=True).stdout == "[]\n[]\n"
        )
    )


def test_a_node_that_fills_its_machine_is_replaced(new_service, in_ray_cluster):
    """No machine is left but that of the lost one, whose place is still reserved beside others."""
    with new_service() as service:
        client = Client(service)
        make_cluster(client, MACHINES, "STANDARD_NC24")  # all GPUs of each
        wait_until(lambda: nodes_are_idle(client, MACHINES))
        before = set(nodes_in(in_ray_cluster))
        os.kill(min(before), signal.SIGKILL)
        wait_until(lambda: len(set(nodes_in(in_ray_cluster)) - before) == 1)
        wait_until(lambda: nodes_are_idle(client, MACHINES))
        client.ask("DELETE", "/resourceGroups/g")
        wait_until(lambda: not nodes_in(in_ray_cluster))

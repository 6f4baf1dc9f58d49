"""Machines that are cut off, processes that are stopped, and services that share a Ray cluster."""

import os
import shutil
import signal
import subprocess
import sys
import threading

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

from batchai_recipes import ConnectionSettings
from batchai_recipes.service.engines.engine import Lost
from batchai_recipes.service.engines.ray.engine import RayEngine
from batchai_recipes.service.engines.ray.options import RayOptions

pytestmark = pytest.mark.slow


def submit_gated(client, folder):
    """Submit a job for each node, which says that it has begun and ends when a file is there."""
    settings = ConnectionSettings.from_file(client.service.env_file)
    gate = folder / "gate"
    command = f"echo >> {folder}/begun; until [ -e {gate} ]; do sleep 0.05; done"
    for number in range(NODES):
        body = {
            "cluster": {
                "id": f"/subscriptions/{settings.subscription_id}{WORKSPACE}/clusters/c",
            },
            "nodeCount": 1,
            "stdOutErrPathPrefix": str(folder / "logs"),
            "customToolkitSettings": {"commandLine": command},
        }
        client.ask("PUT", f"{WORKSPACE}/experiments/e/jobs/job-{number}", {"properties": body})
    return gate


@pytest.mark.parametrize("how", ["the network", "the machine's processes"])
def test_a_machine_that_comes_back_too_late(client, in_ray_cluster, tmp_path, how):
    """Its node has been replaced, its job has failed, and what it still says changes nothing."""
    wait_until(lambda: nodes_are_idle(client))
    gate = submit_gated(client, tmp_path)
    begun = tmp_path / "begun"
    wait_until(lambda: begun.exists() and len(begun.read_text()) == NODES)
    machine, _ = machine_with_node(in_ray_cluster)
    stopped = machine.processes("raylet") + machine.processes("ray::NodeActor")
    if how == "the network":
        machine.cut_off()
    else:
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
    try:
        failed = wait_until(
            lambda: [
                name for name, job in jobs_of(client).items() if job["executionState"] == "failed"
            ]
        )
        gate.touch()  # the lost one succeeds now, as far as it knows
        jobs = wait_until(lambda: all_ended(jobs_of(client)))
        wait_until(lambda: nodes_are_idle(client))  # another is in its place
    finally:
        if how == "the network":
            machine.reconnect()
        else:
            for pid in stopped:
                os.kill(pid, signal.SIGCONT)
    wait_until(lambda: not machine.processes("ray::NodeActor"))  # it may not go on

    (lost,) = failed
    for name, job in jobs_of(client).items():
        assert job == jobs[name]  # nothing that came late has counted
        if name == lost:
            (error,) = job["executionInfo"]["errors"]
            assert error["code"] == "JobLost"
        else:
            assert job["executionState"] == "succeeded"
    assert len(begun.read_text()) == NODES
    machine.restart()


@pytest.fixture
def new_engine_on_ray(in_ray_cluster, state):
    """Make engines that wait three seconds for a silent node, each with a node."""
    made = []

    def new():
        options = RayOptions(
            address=in_ray_cluster.address,
            node_folder=str(in_ray_cluster.node_folder),
            silence_seconds=3.0,
        )
        engine, changed = RayEngine(state, options), threading.Event()
        engine.start(lambda *_: changed.set())
        made.append(engine)
        wait_until(lambda: engine.prepare_node("node", ()))
        return engine

    yield new
    for engine in made:
        engine.release_node("node")
        engine.stop()


def test_a_stopped_actor(new_engine_on_ray, in_ray_cluster, new_task, fifo, processes):
    """Ray takes it for alive; it is lost nevertheless, and does not go on when it could."""
    engine = new_engine_on_ray()
    path, line = fifo
    engine.launch(new_task(f"echo $$ > {path}; exec sleep 1000"))
    task = int(line())
    (actor,) = nodes_in(in_ray_cluster)
    os.kill(actor, signal.SIGSTOP)
    assert "silent" in wait_until(lambda: engine.lost("node"))
    assert engine.tasks("job", "uid") == {"process-0": Lost()}
    if not processes.is_gone(actor):
        os.kill(actor, signal.SIGCONT)
    processes.wait_until_gone(actor)
    processes.wait_until_gone(task)
    assert engine.tasks("job", "uid") == {"process-0": Lost()}


def test_a_stopped_actor_holds_up_no_other_node(client, in_ray_cluster, tmp_path):
    """Jobs begin and end on the others before it is missed; its own goes on with it, once."""
    wait_until(lambda: nodes_are_idle(client))
    actor = nodes_in(in_ray_cluster)[0]
    begun = tmp_path / "begun"
    begun.touch()
    os.kill(actor, signal.SIGSTOP)
    try:
        gate = submit_gated(client, tmp_path)
        wait_until(lambda: len(begun.read_text()) == NODES - 1)
        gate.touch()
        states = ["running"] + ["succeeded"] * (NODES - 1)
        wait_until(lambda: states_of(client) == states)
        assert len(begun.read_text()) == NODES - 1
    finally:
        os.kill(actor, signal.SIGCONT)
    wait_until(lambda: all_ended(jobs_of(client)))
    assert states_of(client) == ["succeeded"] * NODES
    assert len(begun.read_text()) == NODES


def states_of(client):
    """The states of all jobs, in order."""
    return sorted(job["executionState"] for job in jobs_of(client).values())


def in_ray(cluster):
    """What services have in Ray: what the groups and the named actors are printed as."""
    asked = [sys.executable, "-c", GROUPS, cluster.address]
    return subprocess.run(asked, capture_output=True, text=True, check=True).stdout


def test_two_services_share_a_cluster(new_service, in_ray_cluster, tmp_path):
    """Nodes of one name would be two; what one deletes is its own, as is what it sweeps."""
    with new_service() as one, new_service() as other:
        for service in (one, other):
            make_cluster(Client(service), 1)
            wait_until(lambda service=service: nodes_are_idle(Client(service), 1))
        assert len(nodes_in(in_ray_cluster)) == 2
        submit(Client(other), tmp_path, 2)
        one.kill()
        one.start()  # which removes of its own what it does not know
        Client(one).ask("DELETE", "/resourceGroups/g")
        wait_until(lambda: len(nodes_in(in_ray_cluster)) == 1)
        jobs = wait_until(lambda: all_ended(jobs_of(Client(other))))
        assert [job["executionInfo"]["exitCode"] for job in jobs.values()] == [0, 1]
        assert nodes_are_idle(Client(other), 1)
        Client(other).ask("DELETE", "/resourceGroups/g")
        wait_until(lambda: in_ray(in_ray_cluster) == "[]\n[]\n")


def test_nothing_is_left_of_a_deleted_state(new_service, in_ray_cluster):
    """The service stops, and takes along what nobody would ever find."""
    with new_service() as service:
        make_cluster(Client(service), 2)
        wait_until(lambda: nodes_are_idle(Client(service), 2))
        shutil.rmtree(service.state)
        service.stop()
        wait_until(lambda: in_ray(in_ray_cluster) == "[]\n[]\n")

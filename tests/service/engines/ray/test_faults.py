"""Machines, actors, the service and Ray's head fail: each job ends once, and as it should."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
import requests

from batchai_recipes import ConnectionSettings

pytestmark = pytest.mark.slow
JOBS = 40
NODES = 3
PATIENCE_SECONDS = 120.0
ENDED = ("succeeded", "failed")


class Client:
    """Asks a service that may be killed and started again."""

    def __init__(self, service):
        self.service = service

    def ask(self, method, path, body=None):
        """Send a request, again until it is answered."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            settings = ConnectionSettings.from_file(self.service.env_file)
            with contextlib.suppress(requests.ConnectionError):
                answer = requests.request(
                    method,
                    f"{settings.endpoint}/subscriptions/{settings.subscription_id}{path}",
                    params={"api-version": "2018-05-01"},
                    json=body,
                    headers={"Authorization": f"Bearer {self._token(settings)}"},
                    verify=settings.ca_file,
                    timeout=60,
                )
                assert answer.ok, answer.text
                return answer.json() if answer.content else None
            time.sleep(0.2)
        raise AssertionError("the service does not answer")

    def _token(self, settings):
        answer = requests.post(
            f"{settings.endpoint}/{settings.tenant_id}/oauth2/v2.0/token",
            data={
                "grant_type": "client_credentials",
                "client_id": settings.client_id,
                "client_secret": settings.client_secret,
                "scope": "https://management.azure.com/.default",
            },
            verify=settings.ca_file,
            timeout=60,
        )
        return answer.json()["access_token"]


WORKSPACE = "/resourceGroups/g/providers/Microsoft.BatchAI/workspaces/w"


@pytest.fixture
def client(new_service, in_ray_cluster):
    """A service with a cluster of three nodes, each on a machine of its own."""
    with new_service() as service:
        asked = Client(service)
        asked.ask("PUT", "/resourceGroups/g", {"location": "eastus"})
        asked.ask("PUT", WORKSPACE, {"location": "eastus"})
        asked.ask("PUT", f"{WORKSPACE}/experiments/e")
        asked.ask(
            "PUT",
            f"{WORKSPACE}/clusters/c",
            {
                "properties": {
                    "vmSize": "STANDARD_D1",
                    "scaleSettings": {"manual": {"targetNodeCount": NODES}},
                    "userAccountSettings": {"adminUserName": "demo", "adminUserPassword": "x"},
                }
            },
        )
        yield asked
        asked.ask("DELETE", "/resourceGroups/g")
        wait_until(lambda: not nodes_in(in_ray_cluster))


def nodes_in(cluster):
    """The processes of all nodes."""
    return [pid for m in cluster.machines for pid in m.processes("ray::NodeActor")]


GROUPS = """
import sys, ray
from ray.util import placement_group_table
ray.init(address=sys.argv[1], log_to_driver=False, logging_level="error")
print([row for row in placement_group_table().values() if row["state"] != "REMOVED"])
print(ray.util.list_named_actors(all_namespaces=True))
"""


def wait_until(holds):
    """Look at short, growing intervals."""
    deadline, pause = time.monotonic() + PATIENCE_SECONDS, 0.02
    while not (found := holds()):
        assert time.monotonic() < deadline
        time.sleep(pause)
        pause = min(pause * 1.5, 0.5)
    return found


def jobs_of(client):
    """The properties of the jobs, by name."""
    return {
        job["name"]: job["properties"]
        for job in client.ask("GET", f"{WORKSPACE}/experiments/e/jobs")["value"]
    }


def all_ended(jobs):
    """The jobs, once all have ended."""
    return jobs if all(job["executionState"] in ENDED for job in jobs.values()) else None


def nodes_are_idle(client):
    """Whether all nodes of the cluster are there, with nothing to do."""
    shown = client.ask("GET", f"{WORKSPACE}/clusters/c")["properties"]
    return shown["nodeStateCounts"]["idleNodeCount"] == NODES


def submit(client, folder, count):
    """Submit jobs that say that they have begun and end with an exit code of their own."""
    settings = ConnectionSettings.from_file(client.service.env_file)
    cluster = f"/subscriptions/{settings.subscription_id}{WORKSPACE}/clusters/c"
    for number in range(count):
        command = f"echo job-{number} >> {folder}/starts.txt; sleep 0.5; exit {number % 3}"
        body = {
            "cluster": {"id": cluster},
            "nodeCount": 1,
            "stdOutErrPathPrefix": f"{folder}/logs",
            "customToolkitSettings": {"commandLine": command},
        }
        client.ask("PUT", f"{WORKSPACE}/experiments/e/jobs/job-{number}", {"properties": body})


def machine_with_node(cluster):
    """Find a machine beside the head's that has a node, and the process of the node."""
    for machine in cluster.machines[1:]:
        for pid in machine.processes("ray::NodeActor"):
            return machine, pid
    return None


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
    lost = 0
    for number in range(JOBS):
        name = f"job-{number}"
        found = jobs[name]
        info = found["executionInfo"]
        if info.get("errors") and info["errors"][0]["code"] == "JobLost":
            assert found["executionState"] == "failed"
            lost += 1
        else:
            state = "failed" if number % 3 else "succeeded"
            assert (found["executionState"], info["exitCode"]) == (state, number % 3), found
            assert begun[name] == 1
        assert begun[name] <= 1
    # No more than there were nodes that failed: an actor, a machine, and all of them.
    assert lost <= 1 + 1 + NODES
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

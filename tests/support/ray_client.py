"""A client of a service on the tests' Ray cluster that may be killed and started again."""

import contextlib
import time

import requests

from batchai_recipes import ConnectionSettings

NODES = 3
PATIENCE_SECONDS = 120.0
ENDED = ("succeeded", "failed")
WORKSPACE = "/resourceGroups/g/providers/Microsoft.BatchAI/workspaces/w"
GROUPS = """
import sys, ray
from ray.util import placement_group_table
ray.init(address=sys.argv[1], log_to_driver=False, logging_level="error")
print([row for row in placement_group_table().values() if row["state"] != "REMOVED"])
print(ray.util.list_named_actors(all_namespaces=True))
"""


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


def make_cluster(client, nodes, vm_size="STANDARD_D1"):
    """Make what jobs need: a cluster of nodes, each on a machine of its own."""
    client.ask("PUT", "/resourceGroups/g", {"location": "eastus"})
    client.ask("PUT", WORKSPACE, {"location": "eastus"})
    client.ask("PUT", f"{WORKSPACE}/experiments/e")
    client.ask(
        "PUT",
        f"{WORKSPACE}/clusters/c",
        {
            "properties": {
                "vmSize": vm_size,
                "scaleSettings": {"manual": {"targetNodeCount": nodes}},
                "userAccountSettings": {"adminUserName": "demo", "adminUserPassword": "x"},
            }
        },
    )


def nodes_in(cluster):
    """The processes of all nodes."""
    return [pid for m in cluster.machines for pid in m.processes("ray::NodeActor")]


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


def nodes_are_idle(client, count=NODES):
    """Whether all nodes of the cluster are there, with nothing to do."""
    shown = client.ask("GET", f"{WORKSPACE}/clusters/c")["properties"]
    return shown["nodeStateCounts"]["idleNodeCount"] == count


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

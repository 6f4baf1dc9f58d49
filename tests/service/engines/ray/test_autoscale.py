"""Clusters that scale by themselves ask Ray for machines as jobs queue, and give them back."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from ray_client import WORKSPACE, Client, all_ended, jobs_of, make_cluster, wait_until
from ray_cluster import HEAD_PORT, running_cluster

from batchai_recipes import ConnectionSettings

pytestmark = [pytest.mark.ray, pytest.mark.slow]
SUPPORT = Path(__file__).parents[3] / "support"
SOON = ("--scale-down-after", "PT3S")
# What Ray's autoscaler goes by: the bundles that wait, and the machines that do something or not.
STATUS = """
import json, sys
from ray.autoscaler.v2.sdk import get_cluster_status
found = get_cluster_status(sys.argv[1])
print(json.dumps({
    "waiting": [
        {"strategy": group.strategy, "count": each.count, "bundle": each.bundle}
        for group in found.resource_demands.placement_group_demand
        for each in group.bundles_by_count
    ],
    "active": len(found.active_nodes),
    "idle": len(found.idle_nodes),
}))
"""


def status_of(cluster):
    """What Ray's autoscaler sees."""
    asked = [sys.executable, "-c", STATUS, cluster.address]
    done = subprocess.run(asked, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


def make_scaling_cluster(client, most):
    """Make a cluster that has as many nodes as its jobs need, up to a number."""
    make_cluster(client, 0)
    scale = {"minimumNodeCount": 0, "maximumNodeCount": most, "initialNodeCount": 0}
    client.ask(
        "PATCH", f"{WORKSPACE}/clusters/c", {"properties": {"scaleSettings": {"autoScale": scale}}}
    )


def submit_until(client, folder, count):
    """Submit jobs that run until a file is there."""
    settings = ConnectionSettings.from_file(client.service.env_file)
    cluster = f"/subscriptions/{settings.subscription_id}{WORKSPACE}/clusters/c"
    for number in range(count):
        body = {
            "cluster": {"id": cluster},
            "nodeCount": 1,
            "stdOutErrPathPrefix": f"{folder}/logs",
            "customToolkitSettings": {
                "commandLine": f"until [ -e {folder}/enough ]; do sleep 0.1; done"
            },
        }
        client.ask("PUT", f"{WORKSPACE}/experiments/e/jobs/job-{number}", {"properties": body})


def states_of(client):
    """The states of all jobs, in order."""
    return sorted(job["executionState"] for job in jobs_of(client).values())


def test_a_machine_that_joins_gets_what_waits(new_service, in_ray_cluster, tmp_path):
    """Ray is asked for a node for each queued job, and for none when there is nothing to do."""
    cluster = in_ray_cluster
    assert status_of(cluster)["waiting"] == []
    with new_service(*SOON) as service:
        client = Client(service)
        make_scaling_cluster(client, 6)
        assert status_of(cluster)["waiting"] == []
        submit_until(client, tmp_path, 5)
        wait_until(lambda: states_of(client) == ["queued"] + ["running"] * 4)
        seen = wait_until(lambda: (s := status_of(cluster))["active"] == 4 and s)
        (waiting,) = seen["waiting"]
        assert (waiting["strategy"], waiting["count"]) == ("STRICT_SPREAD", 1)
        assert waiting["bundle"] == {"CPU": 1.0, "memory": float(int(3.5 * 0.6 * (1 << 30)))}
        with cluster.one_more():
            wait_until(lambda: states_of(client) == ["running"] * 5)
            seen = wait_until(lambda: (s := status_of(cluster))["active"] == 5 and s)
            assert seen["waiting"] == []
            (tmp_path / "enough").touch()
            wait_until(lambda: all_ended(jobs_of(client)))
            assert states_of(client) == ["succeeded"] * 5
            seen = wait_until(lambda: (s := status_of(cluster))["active"] == 0 and s)
            assert (seen["idle"], seen["waiting"]) == (5, [])
        client.ask("DELETE", "/resourceGroups/g")


class TestRaysAutoscaler:
    """Ray's own, which starts processes as machines."""

    @pytest.fixture(params=[1, 4])
    def cluster(self, request, tmp_path, monkeypatch):
        """A head without room, to which Ray adds machines that have room for some nodes."""
        config = tmp_path / "autoscaling.json"
        with tempfile.TemporaryDirectory(prefix="ray-", dir="/tmp") as folder:
            config.write_text(json.dumps(autoscaling("10.77.0.1", folder, request.param)))
            with (
                running_cluster(
                    1,
                    environment={
                        "PYTHONPATH": str(SUPPORT),
                        "RAY_FAKE_CLUSTER": "1",
                        "AUTOSCALER_UPDATE_INTERVAL_S": "1",
                        "RAY_enable_autoscaler_v2": "1",
                        "RAY_CLOUD_INSTANCE_ID": HEAD_ID,
                        "RAY_OVERRIDE_NODE_ID_FOR_TESTING": HEAD_ID,
                    },
                    head_offers=("--num-cpus", "0", "--autoscaling-config", str(config)),
                ) as cluster,
                cluster.entered(),
            ):
                for name, value in cluster.credentials.items():
                    monkeypatch.setenv(name, value)
                yield cluster

    def test_machines_come_and_go_with_the_jobs(self, cluster, run_service, tmp_path):
        """One for each job, though it may have room for several, until all are done."""
        with run_service(tmp_path / "state", cluster, *SOON) as service:
            client = Client(service)
            make_scaling_cluster(client, 3)
            assert machines_of(status_of(cluster)) == 1
            submit_until(client, tmp_path, 1)
            wait_until(lambda: states_of(client) == ["running"])
            # The first machine may have room for these, but not for nodes of the same cluster.
            submit_until(client, tmp_path, 4)
            wait_until(lambda: states_of(client) == ["queued"] + ["running"] * 3)
            assert machines_of(status_of(cluster)) == 4
            (tmp_path / "enough").touch()
            wait_until(lambda: all_ended(jobs_of(client)))
            assert states_of(client) == ["succeeded"] * 4
            wait_until(lambda: machines_of(status_of(cluster)) == 1)
            client.ask("DELETE", "/resourceGroups/g")


HEAD_ID = "f" * 51 + "00000"


def machines_of(status):
    """How many machines there are, the head's among them."""
    return status["active"] + status["idle"]


def autoscaling(head, folder, cores):
    """Ray's configuration of machines that are processes beside its head."""
    worker = {"CPU": cores, "memory": cores * 4 << 30}
    return {
        "cluster_name": "fake",
        "max_workers": 8,
        "upscaling_speed": 100,
        "idle_timeout_minutes": 0.05,
        "provider": {
            "type": "external",
            "module": "ray_provider.Machines",
            "folder": folder,
            "disable_node_updaters": True,
            "launch_multiple": True,
            "head_node_id": HEAD_ID,
            "gcs_address": f"{head}:{HEAD_PORT}",
        },
        "auth": {},
        "file_mounts": {},
        "cluster_synced_files": [],
        **{
            f"{when}_commands": []
            for when in (
                *("initialization", "setup", "head_setup", "worker_setup"),
                *("head_start_ray", "worker_start_ray"),
            )
        },
        "head_node_type": "ray.head.default",
        "available_node_types": {
            "ray.head.default": {"resources": {"CPU": 0}, "node_config": {}, "max_workers": 0},
            "worker": {"resources": worker, "node_config": {}, "min_workers": 0, "max_workers": 8},
        },
    }

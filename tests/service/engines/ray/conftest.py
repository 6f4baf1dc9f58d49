"""Services on the tests' Ray cluster, whose machines see their state directory or do not."""

import os
import subprocess
import sys
import uuid
from contextlib import contextmanager
from pathlib import Path

import pytest
from ray_client import NODES, Client, make_cluster, nodes_in, wait_until

from batchai_recipes import Connection, ConnectionSettings
from batchai_recipes.service.engines.supervision.processes import descendants
from batchai_recipes.settings import read_env_file


class RayService:
    """A service that runs jobs on Ray, in a process of its own.

    Args:
        state: Its state directory.
        cluster: The Ray cluster.
        arguments: What else the command gets.
    """

    def __init__(self, state, cluster, *arguments):
        self.state = state
        self.env_file = state.with_name(f"{state.name}.env")
        self._arguments = [
            *(sys.executable, "-m", "batchai_recipes.cli", "serve", "--engine", "ray"),
            *("--ray-address", cluster.address, "--ray-node-folder", str(cluster.node_folder)),
            *("--state-dir", str(state), "--env-file", str(self.env_file)),
            *("--host", cluster.host, *arguments),
        ]
        self.process = None

    def start(self):
        """Start it and wait until it answers."""
        with self.state.with_name(f"{self.state.name}.log").open("a") as log:
            self.process = subprocess.Popen(
                self._arguments, stdout=subprocess.PIPE, stderr=log, text=True
            )
        for line in self.process.stdout:
            if line.startswith("Stop with"):
                return
        raise AssertionError(self.log())

    def log(self):
        """What it has said on standard error."""
        return self.state.with_name(f"{self.state.name}.log").read_text()

    def kill(self):
        """Kill it with -9."""
        self.process.kill()
        self.process.communicate()

    def stop(self):
        """Stop it as Ctrl-C does, unless it has been."""
        if self.process.returncode is None:
            self.process.terminate()
            self.process.communicate()

    def connection(self):
        """Connect as its own principal."""
        return Connection(ConnectionSettings.from_file(self.env_file))

    @property
    def drivers(self):
        """The ids of its drivers of Ray."""
        return [pid for pid in descendants(self.process.pid) if _is_driver(pid)]


def _is_driver(pid):
    try:
        return b"ray.driver" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


@contextmanager
def _service(state, cluster, *arguments):
    service = RayService(state, cluster, *arguments)
    service.start()
    try:
        yield service
    finally:
        service.stop()


def _state(folder):
    return folder / f"state-{uuid.uuid4().hex[:8]}"


@pytest.fixture(scope="session")
def run_service():
    """Run a service on a cluster, in whose network this is, until a block ends."""
    return _service


@pytest.fixture
def new_service(in_ray_cluster, tmp_path):
    """Make services that run until a block ends; their state can be hidden from machines."""

    def new(*arguments, hidden=False):
        folder = in_ray_cluster.hidden if hidden else tmp_path
        return _service(_state(folder), in_ray_cluster, *arguments)

    return new


@pytest.fixture(scope="module", params=[False, True], ids=["seen", "hidden"])
def service(request, ray_cluster, tmp_path_factory):
    """A service whose state directory Ray's machines see, or do not; tests leave nothing in it."""
    folder = ray_cluster.hidden if request.param else tmp_path_factory.mktemp("service")
    with ray_cluster.entered(), _service(_state(folder), ray_cluster) as service:
        yield service


@pytest.fixture
def environment(service, in_ray_cluster):
    """The environment of a user of the service."""
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("AZURE_")},
        **read_env_file(service.env_file),
        "HTTPS_PROXY": "http://127.0.0.1:9",
        "NO_PROXY": in_ray_cluster.host,
        "PYTHONUNBUFFERED": "1",
        "OMP_NUM_THREADS": "1",
        "BATCHAI_ADMIN_USER": "demo",
        "BATCHAI_ADMIN_PASSWORD": "passw0rd",
    }


@pytest.fixture
def client(new_service, in_ray_cluster):
    """A client of a service with a cluster of three nodes, each on a machine of its own."""
    with new_service() as service:
        asked = Client(service)
        make_cluster(asked, NODES)
        yield asked
        asked.ask("DELETE", "/resourceGroups/g")
        wait_until(lambda: not nodes_in(in_ray_cluster))

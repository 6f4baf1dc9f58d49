"""A service on the tests' Ray cluster, as the measurements use it."""

import http.client
import json
import os
import ssl
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from batchai_recipes import ConnectionSettings
from batchai_recipes.service.engines.supervision.processes import descendants, stat_fields

sys.path[:0] = [str(Path(__file__).parents[1] / "tests" / "support")]

from ray_cluster import RayCluster  # noqa: E402  # a module of the tests

CONNECTIONS = 4
LATENCIES = 30
TIMEOUT_SECONDS = 400.0
VERSION = "api-version=2018-05-01"

Ask = Callable[..., Any]


class Service:
    """A service on the cluster, in a process of its own.

    Args:
        cluster: The Ray cluster.
        folder: Where it keeps its files.
        nodes: How many nodes its Batch AI cluster has.
        strategy: How they lie on machines.
    """

    def __init__(self, cluster: RayCluster, folder: Path, nodes: int, strategy: str) -> None:
        env_file = folder / "env"
        self._output = folder / "output"
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "batchai_recipes.cli", "serve", "--engine", "ray"),
                *("--ray-address", cluster.address, "--ray-node-folder", str(folder / "nodes")),
                *("--ray-strategy", strategy, "--env-file", str(env_file)),
                *("--state-dir", str(folder / "state")),
            ],
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            self._settle(env_file, nodes)
        except BaseException:
            self.process.kill()
            raise

    def _settle(self, env_file: Path, nodes: int) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith("Stop with"):
                break
        settings = ConnectionSettings.from_file(env_file)
        self._host = urlsplit(settings.endpoint).netloc
        self._tls = ssl.create_default_context(cafile=settings.ca_file)
        self._headers = {"Authorization": f"Bearer {self._token(settings)}"}
        self._group = f"/subscriptions/{settings.subscription_id}/resourceGroups/benchmark"
        workspace = f"{self._group}/providers/Microsoft.BatchAI/workspaces/workspace"
        self._cluster = f"{workspace}/clusters/cluster"
        self._experiment = f"{workspace}/experiments/experiment"
        self._ask = self.connection()
        self._sequence = 0
        self._make(workspace, nodes)

    def _token(self, settings: ConnectionSettings) -> str:
        form = {
            "grant_type": "client_credentials",
            "client_id": settings.client_id,
            "client_secret": settings.client_secret,
            "scope": "https://management.azure.com/.default",
        }
        connection = http.client.HTTPSConnection(self._host, context=self._tls)
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        path = f"/{settings.tenant_id}/oauth2/v2.0/token"
        connection.request("POST", path, urlencode(form), kind)
        token: str = json.loads(connection.getresponse().read())["access_token"]
        return token

    def connection(self) -> Ask:
        """Return what sends requests over one new connection."""
        connection = http.client.HTTPSConnection(self._host, context=self._tls)
        headers = {**self._headers, "Content-Type": "application/json"}

        def ask(method: str, path: str, body: object = None) -> Any:
            content = json.dumps(body) if body is not None else None
            path += ("&" if "?" in path else "?") + VERSION * (VERSION not in path)
            connection.request(method, path.rstrip("?&"), content, headers)
            answer = connection.getresponse()
            text = answer.read()
            assert answer.status < http.HTTPStatus.BAD_REQUEST, text
            return json.loads(text) if text else {}

        return ask

    def reconnect(self) -> None:
        """Begin a new connection."""
        self._ask = self.connection()

    def _make(self, workspace: str, nodes: int) -> None:
        location = {"location": "eastus"}
        self._ask("PUT", self._group, location)
        self._ask("PUT", workspace, location)
        self._ask("PUT", self._experiment)
        properties = {
            "vmSize": "STANDARD_D1",
            "scaleSettings": {"manual": {"targetNodeCount": 0}},
            "userAccountSettings": {"adminUserName": "demo", "adminUserPassword": "x"},
        }
        self._ask("PUT", self._cluster, {"properties": properties})
        self.scale(nodes)

    def scale(self, nodes: int) -> float:
        """Have some number of nodes; return how long it took until they were idle, in seconds."""
        settings = {"scaleSettings": {"manual": {"targetNodeCount": nodes}}}
        began = time.perf_counter()
        self._ask("PATCH", self._cluster, {"properties": settings})
        wait(lambda: self._counts()["idleNodeCount"] == nodes, pause=0.05)
        return time.perf_counter() - began

    def _counts(self) -> dict[str, int]:
        counts: dict[str, int] = self._ask("GET", self._cluster)["properties"]["nodeStateCounts"]
        return counts

    def latency(self) -> float:
        """Return the median of one job at a time (``true``), in seconds."""
        taken = []
        for _ in range(LATENCIES):
            began = time.perf_counter()
            path = self._submit(self._ask, "true")
            wait(partial(self._has_succeeded, path), pause=0.001)
            taken.append(time.perf_counter() - began)
        return statistics.median(taken)

    def _has_succeeded(self, path: str) -> bool:
        return bool(self._ask("GET", path)["properties"]["executionState"] == "succeeded")

    def run(self, count: int, command: str) -> float:
        """Run jobs; return the wall time in seconds."""

        def submit(share: range) -> None:
            ask = self.connection()
            for _ in share:
                self._submit(ask, command)

        began = time.perf_counter()
        shares = [range(first, count, CONNECTIONS) for first in range(CONNECTIONS)]
        threads = [threading.Thread(target=submit, args=(share,)) for share in shares]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        wait(self._is_idle, pause=0.05)
        taken = time.perf_counter() - began
        assert Counter(self._states()) == {"succeeded": self._sequence}
        return taken

    def _is_idle(self) -> bool:
        """Tell whether nothing runs or waits: cheaper to ask for than a listing of all jobs."""
        counts = self._counts()
        return counts["runningNodeCount"] == 0 and not any(
            state in {"queued", "running"} for state in self._states()
        )

    def _states(self) -> Iterator[str]:
        page = self._ask("GET", f"{self._experiment}/jobs?maxresults=1000")
        while True:
            for job in page["value"]:
                yield job["properties"]["executionState"]
            if not page.get("nextLink"):
                return
            following = urlsplit(page["nextLink"])
            page = self._ask("GET", f"{following.path}?{following.query}")

    def _submit(self, ask: Ask, command: str) -> str:
        with LOCK:
            self._sequence += 1
            path = f"{self._experiment}/jobs/job-{self._sequence}"
        properties = {
            "cluster": {"id": self._cluster},
            "nodeCount": 1,
            "stdOutErrPathPrefix": str(self._output),
            "customToolkitSettings": {"commandLine": command},
        }
        ask("PUT", path, {"properties": properties})
        return path

    def processor_seconds(self) -> tuple[float, float]:
        """Return what the service and its driver have used so far, each."""
        return used(self.process.pid), sum(map(used, self.drivers()))

    def drivers(self) -> list[int]:
        """Return the ids of its drivers of Ray."""
        found = descendants(self.process.pid)
        return [p for p in found if b"ray.driver" in Path(f"/proc/{p}/cmdline").read_bytes()]

    def stop(self) -> None:
        """Delete what it has and stop it."""
        self._ask("DELETE", self._group)
        wait(lambda: not self._is_there(), pause=0.1)
        self.process.terminate()
        self.process.wait()

    def _is_there(self) -> bool:
        connection = http.client.HTTPSConnection(self._host, context=self._tls)
        connection.request("GET", f"{self._group}?{VERSION}", headers=self._headers)
        return connection.getresponse().status == http.HTTPStatus.OK


LOCK = threading.Lock()


def wait(condition: Callable[[], bool], pause: float) -> None:
    """Look again and again until a condition holds."""
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(pause)


def used(pid: int) -> float:
    """Return the processor time that a process has used so far, in seconds."""
    fields = stat_fields(pid) or ["0"] * 20
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory(pid: int) -> float:
    """Return the proportional memory of a process, in MiB."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


@contextmanager
def a_service(cluster: RayCluster, nodes: int, strategy: str) -> Iterator[Service]:
    """Run a service with a cluster of nodes."""
    with tempfile.TemporaryDirectory(prefix="ray-scale-", ignore_cleanup_errors=True) as name:
        service = Service(cluster, Path(name), nodes, strategy)
        try:
            yield service
            service.stop()
        finally:
            service.process.kill()
            service.process.communicate()

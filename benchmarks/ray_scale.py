"""Jobs on four machines of Ray, beside the same work as bare Ray tasks and as Ray Jobs in one run.

The work is a process that waits for a stated time (``sleep``). A Batch AI job has its node for
itself, so there are four at a time, one on each machine; Ray's tasks ask for all processors of a
machine, so they are four at a time too, and of Ray Jobs four are under way at a time. Wall time is
from the first submission until all have ended, for the service until a listing of the jobs says
so. Ray Jobs are few, since each takes a second or more: their rate is what counts.

``--part growth`` measures what a node at rest and a job cost the service and its driver, with 4,
16 and 64 nodes, several on each machine (``--ray-strategy PACK``), for the projection to 1,000.

The machines are processes of this one in networks of their own, as in the tests (root, ``unshare``,
``nsenter``, ``ip``); ``ray[default]`` has to be installed:

    python benchmarks/ray_scale.py [--part rates] [--jobs 1000] [--seconds 0.3] [--ray-jobs 40]
"""

import argparse
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
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from batchai_recipes import ConnectionSettings
from batchai_recipes.service.engines.supervision.processes import descendants, stat_fields

sys.path[:0] = [str(Path(__file__).parents[1] / "tests" / "support")]

from ray_cluster import MACHINES, RayCluster  # noqa: E402  # a module of the tests

CONNECTIONS = 4
LATENCIES = 30
REST_SECONDS = 30.0
GROWTH = (4, 16, 64)
GROWTH_JOBS = 300
PROJECTED_NODES = 1000
TIMEOUT_SECONDS = 400.0
VERSION = "api-version=2018-05-01"
MEBIBYTE = 1 << 20

PEERS = r"""
import json, subprocess, sys, time
import ray
address, kind, count, seconds = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]

def work():
    subprocess.run(["sleep", seconds], check=True)

def tasks():
    ray.init(address=address, log_to_driver=False, logging_level="error")
    remote = ray.remote(num_cpus=32)(work)  # all processors of a machine
    ray.get([remote.remote() for _ in range(8)])  # starts a worker on each
    began = time.perf_counter()
    ray.get([remote.remote() for _ in range(count)])
    return time.perf_counter() - began

def jobs():
    from ray.job_submission import JobSubmissionClient
    client = JobSubmissionClient("http://127.0.0.1:8265")
    def start():
        return client.submit_job(entrypoint=f"sleep {seconds}")
    def ended(job):
        status = client.get_job_status(job)
        if status.is_terminal() and status.value != "SUCCEEDED":
            raise SystemExit(client.get_job_info(job).message)
        return status.is_terminal()
    first = start()
    while not ended(first):
        time.sleep(0.02)
    began = time.perf_counter()
    waiting, left = [], count
    while left or waiting:
        waiting = [job for job in waiting if not ended(job)]
        while left and len(waiting) < 4:
            waiting.append(start()); left -= 1
        time.sleep(0.02)
    return time.perf_counter() - began

print("RESULT", tasks() if kind == "tasks" else jobs())
"""

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
        self.made_in = self._make(workspace, nodes)

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

    def _make(self, workspace: str, nodes: int) -> float:
        """Make the cluster; return how long it took until its nodes were idle, in seconds."""
        location = {"location": "eastus"}
        self._ask("PUT", self._group, location)
        self._ask("PUT", workspace, location)
        self._ask("PUT", self._experiment)
        properties = {
            "vmSize": "STANDARD_D1",
            "scaleSettings": {"manual": {"targetNodeCount": nodes}},
            "userAccountSettings": {"adminUserName": "demo", "adminUserPassword": "x"},
        }
        began = time.perf_counter()
        self._ask("PUT", self._cluster, {"properties": properties})
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
            wait(
                lambda path=path: (
                    self._ask("GET", path)["properties"]["executionState"] == "succeeded"
                ),
                pause=0.001,
            )
            taken.append(time.perf_counter() - began)
        return statistics.median(taken)

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
        return _used(self.process.pid), sum(map(_used, self._drivers()))

    def memory(self) -> tuple[float, float]:
        """Return the proportional memory of the service and of its driver, in MiB."""
        return _memory(self.process.pid), sum(map(_memory, self._drivers()))

    def _drivers(self) -> list[int]:
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


def _used(pid: int) -> float:
    fields = stat_fields(pid) or ["0"] * 20
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _memory(pid: int) -> float:
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


def peer(cluster: RayCluster, kind: str, count: int, seconds: float) -> float:
    """Return the wall time of the same work without the service, in seconds."""
    done = subprocess.run(
        [sys.executable, "-c", PEERS, cluster.address, kind, str(count), str(seconds)],
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    return float(done.stdout.split("RESULT ")[1])


def rates(cluster: RayCluster, asked: argparse.Namespace) -> None:
    """Measure the three beside each other."""
    rows: list[tuple[str, int, float]] = []
    empty = asked.jobs // 2
    with a_service(cluster, MACHINES, "STRICT_SPREAD") as service:
        service.run(2 * CONNECTIONS, "true")
        latency = service.latency()
        rows.append(("the service, empty", empty, service.run(empty, "true")))
        before = service.processor_seconds()
        ours = service.run(asked.jobs, f"exec sleep {asked.seconds}")
        used = [b - a for a, b in zip(before, service.processor_seconds(), strict=True)]
    rows.append(("bare Ray tasks, empty", empty, peer(cluster, "tasks", empty, 0)))
    tasks = peer(cluster, "tasks", asked.jobs, asked.seconds)
    jobs = peer(cluster, "jobs", asked.ray_jobs, asked.seconds)
    rows += [
        (f"the service, {asked.seconds:g} s each", asked.jobs, ours),
        (f"bare Ray tasks, {asked.seconds:g} s each", asked.jobs, tasks),
        (f"Ray Jobs, {asked.seconds:g} s each", asked.ray_jobs, jobs),
    ]
    print("| what | jobs | wall s | jobs/s |")
    print("| --- | --- | --- | --- |")
    for name, count, taken in rows:
        print(f"| {name} | {count:,} | {taken:.1f} | {count / taken:.2f} |")
    print()
    print(f"service / bare tasks, wall time: {ours / tasks:.2f}")
    print(f"service / Ray Jobs, rate: {asked.jobs / ours / (asked.ray_jobs / jobs):.1f}")
    print(f"one empty job at a time, median: {latency * 1000:.1f} ms")
    for name, seconds in zip(("service", "driver"), used, strict=True):
        print(f"processor time of the {name}: {seconds / asked.jobs * 1000:.2f} ms a job")


def growth(cluster: RayCluster, _: argparse.Namespace) -> None:
    """Measure what nodes and jobs cost the service."""
    print(
        "| nodes | made in s | service MiB | driver MiB | service ms/s at rest "
        "| driver ms/s at rest | jobs/s | service ms a job | driver ms a job |"
    )
    print("| --- " * 9 + "|")
    for nodes in GROWTH:
        with a_service(cluster, nodes, "PACK") as service:
            service.run(2 * nodes, "true")
            rest = _spent(service, lambda: time.sleep(REST_SECONDS))
            memory = service.memory()
            taken = 0.0

            def run(service: Service = service) -> None:
                nonlocal taken
                taken = service.run(GROWTH_JOBS, "true")

            service.reconnect()  # who was silent for long is cut off
            used = _spent(service, run)
        figures = [
            *(f"{nodes}", f"{service.made_in:.1f}", *(f"{each:.0f}" for each in memory)),
            *(f"{each / REST_SECONDS * 1000:.1f}" for each in rest),
            f"{GROWTH_JOBS / taken:.1f}",
            *(f"{each / GROWTH_JOBS * 1000:.2f}" for each in used),
        ]
        print(f"| {' | '.join(figures)} |", flush=True)


def _spent(service: Service, work: Callable[[], object]) -> list[float]:
    before = service.processor_seconds()
    work()
    return [b - a for a, b in zip(before, service.processor_seconds(), strict=True)]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", choices=["rates", "growth"], default="rates")
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=0.3)
    parser.add_argument("--ray-jobs", type=int, default=40)
    asked = parser.parse_args()
    cluster = RayCluster(dashboard=True)
    try:
        cluster.start()
        with cluster.entered():
            {"rates": rates, "growth": growth}[asked.part](cluster, asked)
    finally:
        cluster.stop()


if __name__ == "__main__":
    main()

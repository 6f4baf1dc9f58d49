"""How fast trivial jobs go from submission to their end, beside other runners in the same run.

Latency: one job (``true``) at a time on a warm service, from the PUT to the GET that shows its end.
Throughput: 500 such jobs on a cluster of 8 nodes, submitted over 8 connections. Peers do the same
with what they have: submitit's local executor, TorchX's local_cwd scheduler, dask.distributed with
a subprocess in each task, and ``xargs -P8`` as the limit. They live in an environment of their own,
and Ray's tasks and jobs in another:

    python benchmarks/jobs.py [--peers PEERS_PYTHON] [--ray-python RAY_PYTHON] [--jobs 500]

Ray asks a cloud's metadata address and DNS when it starts, usage statistics off or not. Its cluster
and the driver of its rows therefore run in a network namespace that has the loopback only, and in a
process namespace that ends with the driver (this takes ``unshare`` and ``ip``, as root).
"""

import argparse
import http.client
import json
import os
import secrets
import ssl
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import closing
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from management import VERSION, Client

from batchai_recipes.service.address import ServiceAddress
from batchai_recipes.service.launcher import LocalService

SLOTS = 8
JOBS = 500
LATENCIES = 30
WARM_UP = 5
ENDED = {"succeeded", "failed"}
TIMEOUT_SECONDS = 300.0
# A job of Ray Jobs starts an interpreter of its own and takes about a second.
RAY_JOBS = 16
RAY_JOBS_LATENCIES = 5
# Network, mounts and process ids of their own; what is left inside ends with the first process.
ALONE = (
    *("unshare", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"),
    *("sh", "-c", 'ip link set lo up && exec "$@"', "sh"),
)

Ask = Callable[..., tuple[int, bytes]]

_PEERS = r"""
import json, statistics, subprocess, sys, tempfile, time
peer, jobs, slots, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])

def timed(once):
    for _ in range(3):
        once()
    taken = []
    for _ in range(count):
        began = time.perf_counter()
        once()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)

def true():
    subprocess.run(["true"], check=True)

def run():
    if peer == "submitit":
        import submitit, submitit.core.core as core
        with tempfile.TemporaryDirectory() as folder:
            executor = submitit.LocalExecutor(folder=folder)
            executor.update_parameters(timeout_min=5)
            def once():
                job = executor.submit(true)
                while not job.done():
                    time.sleep(0.005)
                job.result()
            latency = timed(once)
            began = time.perf_counter()
            waiting, left = [], jobs
            while left or waiting:
                waiting = [job for job in waiting if not job.done()]
                while left and len(waiting) < slots:
                    waiting.append(executor.submit(true)); left -= 1
                time.sleep(0.005)
            return latency, jobs / (time.perf_counter() - began)
    if peer == "torchx":
        from torchx.runner import get_runner
        from torchx.specs import AppDef, Role
        app = AppDef("true", roles=[Role("true", image="/tmp", entrypoint="true", num_replicas=1)])
        with get_runner("benchmark") as runner, tempfile.TemporaryDirectory() as folder:
            def start():
                return runner.run(app, "local_cwd", {"log_dir": folder})
            def ended(handle):
                return runner.status(handle).is_terminal()
            def once():
                handle = start()
                while not ended(handle):
                    time.sleep(0.002)
            latency = timed(once)
            began = time.perf_counter()
            waiting, left = [], jobs
            while left or waiting:
                waiting = [handle for handle in waiting if not ended(handle)]
                while left and len(waiting) < slots:
                    waiting.append(start()); left -= 1
                time.sleep(0.002)
            return latency, jobs / (time.perf_counter() - began)
    if peer == "dask":
        from dask.distributed import Client, LocalCluster
        with LocalCluster(n_workers=1, threads_per_worker=slots, dashboard_address=None) as cluster:
            with Client(cluster) as client:
                latency = timed(lambda: client.submit(true, pure=False).result())
                began = time.perf_counter()
                client.gather([client.submit(true, pure=False) for _ in range(jobs)])
                return latency, jobs / (time.perf_counter() - began)
    if peer in {"ray-tasks", "ray-jobs"}:
        start_ray()
        return ray_tasks() if peer == "ray-tasks" else ray_jobs()
    raise SystemExit("no such peer")

def start_ray():
    subprocess.run(
        [sys.executable, "-m", "ray.scripts.scripts", "start", "--head",
         "--node-ip-address", "127.0.0.1", "--dashboard-host", "127.0.0.1",
         "--num-cpus", str(slots), "--temp-dir", tempfile.gettempdir()],
        check=True, stdout=subprocess.DEVNULL,
    )

def ray_tasks():
    import ray
    ray.init(address="127.0.0.1:6379", log_to_driver=False)
    remote = ray.remote(num_cpus=1)(true)
    def all_of_them():
        ray.get([remote.remote() for _ in range(jobs)])
    all_of_them()  # starts a worker for each slot
    latency = timed(lambda: ray.get(remote.remote()))
    began = time.perf_counter()
    all_of_them()
    return latency, jobs / (time.perf_counter() - began)

def ray_jobs():
    from ray.job_submission import JobSubmissionClient
    client = JobSubmissionClient("http://127.0.0.1:8265")
    def start():
        return client.submit_job(entrypoint="true")
    def ended(job):
        status = client.get_job_status(job)
        if status.is_terminal() and status.value != "SUCCEEDED":
            raise SystemExit(client.get_job_info(job).message)
        return status.is_terminal()
    def once():
        job = start()
        while not ended(job):
            time.sleep(0.005)
    latency = timed(once)
    began = time.perf_counter()
    waiting, left = [], jobs
    while left or waiting:
        waiting = [job for job in waiting if not ended(job)]
        while left and len(waiting) < slots:
            waiting.append(start()); left -= 1
        time.sleep(0.02)
    return latency, jobs / (time.perf_counter() - began)

if __name__ == "__main__":
    latency, rate = run()
    print("RESULT " + json.dumps({"latency": latency, "rate": rate}))
"""


class Service:
    """The embedded service with a cluster of 8 nodes.

    Args:
        address: Where it is.
    """

    def __init__(self, address: ServiceAddress) -> None:
        self._host = urlsplit(address.endpoint).netloc
        self._tls = ssl.create_default_context(cafile=address.ca_file)
        self._headers = {**Client(address).headers, "Content-Type": "application/json"}
        self._ask = self._connection()
        self._sequence = 0
        group = f"/subscriptions/{address.subscription_id}/resourceGroups/benchmark"
        workspace = f"{group}/providers/Microsoft.BatchAI/workspaces/workspace"
        self._cluster = f"{workspace}/clusters/cluster"
        self._experiment = f"{workspace}/experiments/experiment"
        self._output = tempfile.mkdtemp(prefix="jobs-")
        cluster = {
            "vmSize": "STANDARD_D1_V2",
            "scaleSettings": {"manual": {"targetNodeCount": SLOTS}},
            "userAccountSettings": {"adminUserName": "demo"},
        }
        for path, body in (
            (group, {"location": "northeurope"}),
            (workspace, {"location": "northeurope"}),
            (self._experiment, None),
            (self._cluster, {"properties": cluster}),
        ):
            status, answer = self._ask("PUT", path, body)
            assert status in {200, 201, 202}, answer
        self._wait(
            lambda: self._properties(self._cluster)["nodeStateCounts"]["idleNodeCount"] == SLOTS
        )

    def _connection(self) -> Ask:
        """Return what sends requests over one new connection."""
        connection = http.client.HTTPSConnection(self._host, context=self._tls)

        def ask(method: str, path: str, body: object = None) -> tuple[int, bytes]:
            content = json.dumps(body) if body is not None else None
            connection.request(method, path + VERSION, content, self._headers)
            answer = connection.getresponse()
            return answer.status, answer.read()

        return ask

    def latency(self) -> float:
        """Return the median of one job at a time, in seconds."""
        taken = []
        for number in range(WARM_UP + LATENCIES):
            began = time.perf_counter()
            path = self._submit(self._ask)
            self._wait(lambda path=path: self._state(path) in ENDED)
            if number >= WARM_UP:
                taken.append(time.perf_counter() - began)
            assert self._state(path) == "succeeded", self._properties(path)
        return statistics.median(taken)

    def rate(self, jobs: int) -> float:
        """Return how many jobs a second end, submitted over 8 connections."""
        share = jobs // SLOTS
        last: list[str] = []

        def submit() -> None:
            ask = self._connection()
            last.extend(self._submit(ask) for _ in range(share))

        began = time.perf_counter()
        threads = [threading.Thread(target=submit) for _ in range(SLOTS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for path in reversed(last):
            self._wait(lambda path=path: self._state(path) in ENDED, pause=0.005)
        taken = time.perf_counter() - began
        assert {self._state(path) for path in last} == {"succeeded"}
        return len(last) / taken

    def _submit(self, ask: Ask) -> str:
        self._sequence += 1
        path = f"{self._experiment}/jobs/j{self._sequence}-{threading.get_ident()}"
        body = {
            "cluster": {"id": self._cluster},
            "nodeCount": 1,
            "stdOutErrPathPrefix": self._output,
            "customToolkitSettings": {"commandLine": "true"},
        }
        status, answer = ask("PUT", path, {"properties": body})
        assert status == HTTPStatus.ACCEPTED, answer
        return path

    def _properties(self, path: str) -> dict[str, Any]:
        properties: dict[str, Any] = json.loads(self._ask("GET", path)[1])["properties"]
        return properties

    def _state(self, path: str) -> str:
        return str(self._properties(path)["executionState"])

    def _wait(self, condition: Any, pause: float = 0.001) -> None:
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError
            time.sleep(pause)


def _peer(
    python: str,
    peer: str,
    jobs: int,
    *,
    latencies: int = LATENCIES,
    within: tuple[str, ...] = (),
    environment: dict[str, str] | None = None,
) -> tuple[float, float] | None:
    with tempfile.NamedTemporaryFile("w", suffix=".py") as program:
        program.write(_PEERS)
        program.flush()
        done = subprocess.run(
            [*within, python, program.name, peer, str(jobs), str(SLOTS), str(latencies)],
            env={**os.environ, **(environment or {})},
            capture_output=True,
            text=True,
            check=False,
        )
    for line in done.stdout.splitlines():
        if line.startswith("RESULT "):
            found = json.loads(line.removeprefix("RESULT "))
            return found["latency"], found["rate"]
    print(f"{peer}: not measured: {done.stderr.strip().splitlines()[-1:]}")
    return None


def _ray(python: str, peer: str, jobs: int, latencies: int) -> tuple[float, float] | None:
    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder:
        environment = {
            "HOME": folder,
            "TMPDIR": folder,
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": secrets.token_hex(32),
        }
        return _peer(python, peer, jobs, latencies=latencies, within=ALONE, environment=environment)


def _xargs(jobs: int) -> tuple[float, float]:
    taken = []
    for _ in range(LATENCIES):
        began = time.perf_counter()
        subprocess.run(["true"], check=True)
        taken.append(time.perf_counter() - began)
    began = time.perf_counter()
    subprocess.run(
        ["xargs", "-P", str(SLOTS), "-n", "1", "true"],
        input="\n".join(map(str, range(jobs))),
        text=True,
        check=True,
    )
    return statistics.median(taken), jobs / (time.perf_counter() - began)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers", help="a Python that has submitit, torchx and dask.distributed")
    parser.add_argument("--ray-python", help="a Python that has ray[default]")
    parser.add_argument("--jobs", type=int, default=JOBS)
    arguments = parser.parse_args()
    found: dict[str, tuple[float, float] | None] = {}
    with tempfile.TemporaryDirectory() as folder, closing(LocalService(Path(folder))) as service:
        ours = Service(service.address)
        latency = ours.latency()
        found["batchai_recipes"] = (
            latency,
            statistics.median(ours.rate(arguments.jobs) for _ in range(3)),
        )
    found["subprocess, xargs -P8"] = _xargs(arguments.jobs)
    for peer in ("submitit", "torchx", "dask") if arguments.peers else ():
        found[peer] = _peer(arguments.peers, peer, arguments.jobs)
    if arguments.ray_python:
        python, few = arguments.ray_python, min(RAY_JOBS, arguments.jobs)
        found["Ray tasks"] = _ray(python, "ray-tasks", arguments.jobs, LATENCIES)
        found[f"Ray Jobs, {few} jobs"] = _ray(python, "ray-jobs", few, RAY_JOBS_LATENCIES)
    print("| runner | latency ms | jobs a second |")
    print("| --- | --- | --- |")
    for name, result in found.items():
        if result is not None:
            print(f"| {name} | {result[0] * 1000:.1f} | {result[1]:.1f} |")


if __name__ == "__main__":
    main()

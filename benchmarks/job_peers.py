"""Trivial jobs with other runners: ``python job_peers.py PEER JOBS SLOTS LATENCIES``.

Runs in a Python that has the peer; ``jobs.py`` starts it and reads the last line.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

JOBS, SLOTS, LATENCIES = map(int, sys.argv[2:5])
WARM_UP = 3


def true() -> None:
    """Do what each job does."""
    subprocess.run(["true"], check=True)


def latency_of(once: Callable[[], object]) -> float:
    """Return the median of one job at a time, in seconds."""
    taken = []
    for number in range(WARM_UP + LATENCIES):
        began = time.perf_counter()
        once()
        if number >= WARM_UP:
            taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def polled(
    start: Callable[[], Any],
    has_ended: Callable[[Any], bool],
    pause: float,
    *,
    pause_of_many: float | None = None,
    check: Callable[[Any], object] = lambda _: None,
) -> tuple[float, float]:
    """Measure a runner that has to be asked whether a job has ended.

    Args:
        start: Submits a job.
        has_ended: Asks.
        pause: The seconds between two questions.
        pause_of_many: The same while many run; None for as many.
        check: Makes sure that a job succeeded.
    """

    def once() -> None:
        job = start()
        while not has_ended(job):
            time.sleep(pause)
        check(job)

    latency = latency_of(once)
    began = time.perf_counter()
    waiting: list[Any] = []
    left = JOBS
    while left or waiting:
        waiting = [job for job in waiting if not has_ended(job)]
        while left and len(waiting) < SLOTS:
            waiting.append(start())
            left -= 1
        time.sleep(pause if pause_of_many is None else pause_of_many)
    return latency, JOBS / (time.perf_counter() - began)


def submitit() -> tuple[float, float]:
    """Measure submitit's local executor."""
    from submitit import LocalExecutor  # noqa: PLC0415 - each peer is in one Python only

    with tempfile.TemporaryDirectory() as folder:
        executor = LocalExecutor(folder=folder)
        executor.update_parameters(timeout_min=5)
        return polled(
            lambda: executor.submit(true),
            lambda job: job.done(),
            0.005,
            check=lambda job: job.result(),
        )


def torchx() -> tuple[float, float]:
    """Measure TorchX's local_cwd scheduler."""
    from torchx.runner import get_runner  # noqa: PLC0415
    from torchx.specs import AppDef, Role  # noqa: PLC0415

    app = AppDef("true", roles=[Role("true", image="/tmp", entrypoint="true", num_replicas=1)])
    with get_runner("benchmark") as runner, tempfile.TemporaryDirectory() as folder:
        return polled(
            lambda: runner.run(app, "local_cwd", {"log_dir": folder}),
            lambda handle: runner.status(handle).is_terminal(),
            0.002,
        )


def dask() -> tuple[float, float]:
    """Measure dask.distributed with a subprocess in each task."""
    from dask.distributed import Client, LocalCluster  # noqa: PLC0415

    with (
        LocalCluster(n_workers=1, threads_per_worker=SLOTS, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        latency = latency_of(lambda: client.submit(true, pure=False).result())
        began = time.perf_counter()
        client.gather([client.submit(true, pure=False) for _ in range(JOBS)])
        return latency, JOBS / (time.perf_counter() - began)


def ray_tasks() -> tuple[float, float]:
    """Measure Ray's tasks with a subprocess in each."""
    import ray  # noqa: PLC0415

    _start_ray()
    ray.init(address="127.0.0.1:6379", log_to_driver=False)
    remote = ray.remote(num_cpus=1)(true)

    def all_of_them() -> None:
        ray.get([remote.remote() for _ in range(JOBS)])

    all_of_them()  # starts a worker for each slot
    latency = latency_of(lambda: ray.get(remote.remote()))
    began = time.perf_counter()
    all_of_them()
    return latency, JOBS / (time.perf_counter() - began)


def ray_jobs() -> tuple[float, float]:
    """Measure Ray Jobs."""
    from ray.job_submission import JobSubmissionClient  # noqa: PLC0415

    _start_ray()
    client = JobSubmissionClient("http://127.0.0.1:8265")

    def has_ended(job: str) -> bool:
        status = client.get_job_status(job)
        if status.is_terminal() and status.value != "SUCCEEDED":
            raise SystemExit(client.get_job_info(job).message)
        return bool(status.is_terminal())

    return polled(
        lambda: client.submit_job(entrypoint="true"), has_ended, 0.005, pause_of_many=0.02
    )


def _start_ray() -> None:
    subprocess.run(
        [
            *(sys.executable, "-m", "ray.scripts.scripts", "start", "--head"),
            *("--node-ip-address", "127.0.0.1", "--dashboard-host", "127.0.0.1"),
            *("--num-cpus", str(SLOTS), "--temp-dir", tempfile.gettempdir()),
        ],
        check=True,
        stdout=subprocess.DEVNULL,
    )


PEERS = {
    "submitit": submitit,
    "torchx": torchx,
    "dask": dask,
    "ray-tasks": ray_tasks,
    "ray-jobs": ray_jobs,
}

if __name__ == "__main__":
    latency, rate = PEERS[sys.argv[1]]()
    print("RESULT " + json.dumps({"latency": latency, "rate": rate}))

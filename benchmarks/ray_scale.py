"""Jobs on four machines of Ray, beside the same work as bare Ray tasks and as Ray Jobs in one run.

The work is a process that waits for a stated time (``sleep``). A Batch AI job has its node for
itself, so there are four at a time, one on each machine; Ray's tasks ask for all processors of a
machine, so they are four at a time too, and of Ray Jobs four are under way at a time. Wall time is
from the first submission until all have ended, for the service until a listing of the jobs says
so. Ray Jobs are few, since each takes a second or more: their rate is what counts.

``--part growth`` measures what nodes and jobs cost, and projects that to 1,000 nodes
(:mod:`ray_growth`).

The machines are processes of this one in networks of their own, as in the tests (root, ``unshare``,
``nsenter``, ``ip``); ``ray[default]`` has to be installed:

    python benchmarks/ray_scale.py [--part rates] [--jobs 1000] [--seconds 0.3] [--ray-jobs 40]
"""

import argparse
import subprocess
import sys
from pathlib import Path

from ray_growth import growth
from ray_service import CONNECTIONS, a_service

sys.path[:0] = [str(Path(__file__).parents[1] / "tests" / "support")]

from ray_cluster import MACHINES, RayCluster  # noqa: E402  # a module of the tests

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


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", choices=["rates", "growth"], default="rates")
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=0.3)
    parser.add_argument("--ray-jobs", type=int, default=40)
    asked = parser.parse_args()
    cluster = RayCluster(dashboard=asked.part == "rates")
    try:
        cluster.start()
        with cluster.entered():
            if asked.part == "rates":
                rates(cluster, asked)
            else:
                growth(cluster)
    finally:
        cluster.stop()


if __name__ == "__main__":
    main()

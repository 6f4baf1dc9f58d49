"""What a node and a job cost on Ray, measured with few nodes, and projected to 1,000.

One service grows a cluster to 4, 16 and 32 nodes, several on each of four machines. At each size is
measured, a few times, what the processes use while nothing happens, and what trivial jobs cost. A
straight line through all measurements, by least squares, gives what 1,000 nodes cost, unless its
slope is no more than twice its standard error: then nothing says that the cost grows, and it is the
mean. Beside that, Ray alone makes placement groups of up to 1,000 bundles, and 1,000 groups of one.

A share of processors that a machine has as many of does not grow with the number of machines; it is
what one process does for all nodes that does: the service, its driver, and Ray's GCS.
"""

import math
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from platform import python_version
from statistics import linear_regression, mean

from attrs import frozen
from ray_service import Service, a_service, memory, used

sys.path[:0] = [str(Path(__file__).parents[1] / "tests" / "support")]

from ray_cluster import RayCluster  # noqa: E402  # a module of the tests

SIZES = (4, 16, 32)
PROJECTED = 1000
TIMES = 4
REST_SECONDS = 4.0
JOBS = 150
PARTS = ("service", "driver", "GCS", "raylets", "node actors")
# What one process does for all nodes.
CENTRAL = ("service", "driver", "GCS")

GROUPS = r"""
import sys, time
import ray
from ray.util.placement_group import placement_group, remove_placement_group

ray.init(address=sys.argv[1], log_to_driver=False, logging_level="error")

def ready(groups):
    for group in groups:
        if not group.wait(60):
            raise SystemExit("Ray made no placement group within a minute")

ready([placement_group([{"CPU": 0.001}])])  # the first takes longer
for groups, bundles in ((1, 10), (1, 100), (1, 1000), (1000, 1)):
    began = time.perf_counter()
    made = [placement_group([{"CPU": 0.001}] * bundles, strategy="PACK") for _ in range(groups)]
    ready(made)
    print("RESULT", groups, bundles, time.perf_counter() - began, flush=True)
    for group in made:
        remove_placement_group(group)

@ray.remote(num_cpus=0)
class Echo:
    def say(self):
        return 1

echo = Echo.remote()
ray.get(echo.say.remote())
began = time.perf_counter()
for _ in range(500):
    ray.get(echo.say.remote())
print("RESULT", 0, 0, (time.perf_counter() - began) / 500)
"""


@frozen
class Costs:
    """What some number of nodes cost.

    Args:
        nodes: How many.
        made_in: How long those took that were new, in seconds each.
        memory: The memory of each part, in MiB.
        rest: What each part uses while nothing happens, in milliseconds a second, each time.
        job: What each part uses for a job, in milliseconds, each time.
        rate: Jobs a second.
    """

    nodes: int
    made_in: float
    memory: Mapping[str, float]
    rest: Mapping[str, Sequence[float]]
    job: Mapping[str, Sequence[float]]
    rate: float


def growth(cluster: RayCluster) -> None:
    """Measure, and print what was measured and what follows."""
    began = time.monotonic()
    print(f"Python {python_version()}, {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}")
    found: list[Costs] = []
    with a_service(cluster, 0, "PACK") as service:
        for nodes in SIZES:
            found.append(_costs(cluster, service, nodes, found[-1].nodes if found else 0))
            print(f"{nodes} nodes: {time.monotonic() - began:.0f} s", flush=True)
    _print_measured(found)
    _print_groups(cluster)
    _print_projection(found)
    print(f"\nIt took {time.monotonic() - began:.0f} s; load {os.getloadavg()[0]:.1f}")


def _costs(cluster: RayCluster, service: Service, nodes: int, before: int) -> Costs:
    made_in = service.scale(nodes) / (nodes - before)
    service.run(2 * nodes, "true")
    rest = [_spent(cluster, service, lambda: time.sleep(REST_SECONDS))[0] for _ in range(TIMES)]
    service.reconnect()  # who was silent for long is cut off
    runs = [_spent(cluster, service, lambda: service.run(JOBS, "true")) for _ in range(TIMES)]
    return Costs(
        nodes,
        made_in,
        {part: sum(map(memory, pids)) for part, pids in _processes(cluster, service).items()},
        {part: [each[part] / REST_SECONDS * 1000 for each in rest] for part in PARTS},
        {part: [each[part] / JOBS * 1000 for each, _ in runs] for part in PARTS},
        JOBS * TIMES / sum(seconds for _, seconds in runs),
    )


def _processes(cluster: RayCluster, service: Service) -> dict[str, list[int]]:
    def all_of(name: str) -> list[int]:
        return [pid for machine in cluster.machines for pid in machine.processes(name)]

    parts = ([service.process.pid], service.drivers(), all_of("gcs_server"), all_of("raylet"))
    return dict(zip(PARTS, (*parts, all_of("ray::NodeActor")), strict=True))


def _spent(
    cluster: RayCluster, service: Service, work: Callable[[], object]
) -> tuple[dict[str, float], float]:
    """Do something, and return what each part used meanwhile, and how long it took, in seconds."""
    processes = _processes(cluster, service)
    before = {part: sum(map(used, pids)) for part, pids in processes.items()}
    began = time.perf_counter()
    work()
    seconds = time.perf_counter() - began
    return {part: sum(map(used, pids)) - before[part] for part, pids in processes.items()}, seconds


def _print_measured(found: Sequence[Costs]) -> None:
    def values(title: str, costs: Costs) -> Mapping[str, float]:
        if title == "memory, MiB":
            return costs.memory
        measured = costs.rest if "rest" in title else costs.job
        return {part: mean(measured[part]) for part in PARTS}

    for title in (
        "memory, MiB",
        "at rest, ms of processor time a second",
        "for a job, ms of processor time",
    ):
        print(f"\n| {title} | {' | '.join(f'{costs.nodes} nodes' for costs in found)} |")
        print("| --- " * (len(found) + 1) + "|")
        for part in PARTS:
            figures = (f"{values(title, costs)[part]:.2f}" for costs in found)
            print(f"| {part} | {' | '.join(figures)} |")
    print(f"\n| | {' | '.join(f'{costs.nodes} nodes' for costs in found)} |")
    print("| --- " * (len(found) + 1) + "|")
    print(f"| a node made, s | {' | '.join(f'{costs.made_in:.2f}' for costs in found)} |")
    print(f"| trivial jobs, 1/s | {' | '.join(f'{costs.rate:.1f}' for costs in found)} |")


def _print_groups(cluster: RayCluster) -> None:
    (head,) = cluster.machines[0].processes("gcs_server")
    before = used(head)
    done = subprocess.run(
        [sys.executable, "-c", GROUPS, cluster.address],
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    print("\n| placement groups of Ray alone | until they are there, ms |")
    print("| --- | --- |")
    for line in done.stdout.splitlines():
        groups, bundles, seconds = (float(word) for word in line.split()[1:])
        what = f"{groups:g} of {bundles:g} bundles" if groups else "a call of an actor"
        print(f"| {what} | {seconds * 1000:.2f} |")
    print(f"| the GCS's processor time for all of them | {(used(head) - before) * 1000:.0f} |")


def at_projected(measured: Sequence[tuple[float, float]]) -> float:
    """Return the value at 1,000 of the straight line through measurements, if that rises.

    Args:
        measured: Sizes and values.

    Example:
        >>> at_projected([(4, 9), (16, 33), (32, 65)])
        2001.0
        >>> at_projected([(4, 8), (4, 10), (16, 7), (16, 11), (32, 8), (32, 11)])
        9.166666666666666
    """
    sizes, values = zip(*measured, strict=True)
    line = linear_regression(sizes, values)
    off = [value - line.intercept - line.slope * size for size, value in measured]
    spread = sum((size - mean(sizes)) ** 2 for size in sizes)
    error = math.sqrt(sum(each**2 for each in off) / (len(off) - 2) / spread)
    if line.slope <= 2 * error:
        return float(mean(values))
    return float(line.intercept + line.slope * PROJECTED)


def _print_projection(found: Sequence[Costs]) -> None:
    held, rest, job = (
        {
            part: at_projected([(c.nodes, each) for c in found for each in values(c)[part]])
            for part in CENTRAL
        }
        for values in (
            lambda c: {part: [each] for part, each in c.memory.items()},
            lambda c: c.rest,
            lambda c: c.job,
        )
    )
    print(f"\n| with {PROJECTED:,} nodes | memory, MiB | at rest, ms/s | for a job, ms | jobs/s |")
    print("| --- " * 5 + "|")
    limits: dict[str, float] = {}
    for part in CENTRAL:
        left = max(1000 - rest[part], 0)
        limits[part] = left / job[part] if job[part] else float("inf")
        figures = f"{held[part]:.0f} | {rest[part]:.0f} | {job[part]:.1f} | {limits[part]:.0f}"
        print(f"| {part} | {figures} |")
    part = min(limits, key=lambda name: limits[name])
    rate = limits[part]
    print(
        f"\nThe first bottleneck is {part}: {rate:.0f} jobs a second. So {PROJECTED:,} nodes are "
        f"kept busy by jobs of {PROJECTED / rate:.0f} s or more on one node each."
    )
    made = found[-1].made_in
    print(
        f"Nodes here took {made:.2f} s each, on {os.cpu_count()} processors for all of them; each "
        "machine starts its own."
    )

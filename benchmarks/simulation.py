"""What the scheduler itself costs: 10,000 nodes and up to 100,000 jobs on a virtual clock.

The scheduler, its records on disk and its decisions are the real ones; only the engine is
simulated, whose tasks end when the clock says so. Ten clusters of 1,000 nodes each (two of them
with automatic scale), jobs of 1 to 8 nodes and one to ten minutes in three priorities, all
submitted at the beginning. Each number of jobs runs in a process of its own, which reports its
processor time and its greatest memory.

    python benchmarks/simulation.py [--nodes 10000] [--jobs 1000 10000 100000]
"""

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

from batchai_recipes.service.changes import Changes
from batchai_recipes.service.clock import iso_timestamp
from batchai_recipes.service.engines.engine import Task
from batchai_recipes.service.engines.simulated import SimulatedEngine
from batchai_recipes.service.files.accounts import Accounts
from batchai_recipes.service.files.shares import Shares
from batchai_recipes.service.scheduling.scheduler import Scheduler
from batchai_recipes.service.state_directory import StateDirectory
from batchai_recipes.service.store import Store

GROUP = "/subscriptions/S/resourceGroups/group"
WORKSPACE = f"{GROUP}/providers/Microsoft.BatchAI/workspaces/ws"
EXPERIMENT = f"{WORKSPACE}/experiments/exp"
CLUSTER_NODES = 1000
AUTOMATIC = {4, 9}
NODES = 10_000
JOBS = (1_000, 10_000, 100_000)
WIDTHS = [1] * 90 + [2] * 6 + [4] * 3 + [8]
MEGABYTE = 1024 * 1024


class VirtualClock:
    """A clock that goes where it is put."""

    def __init__(self) -> None:
        self.moment = datetime(2018, 6, 6, tzinfo=timezone.utc)

    def now(self) -> datetime:
        """Return the moment."""
        return self.moment


class Simulation:
    """A scheduler with its records, on a simulated engine.

    Args:
        folder: Where the records lie.
    """

    def __init__(self, folder: Path) -> None:
        state = StateDirectory(folder)
        state.create()
        self.store = Store(state.database)
        self.clock = VirtualClock()
        self.engine = SimulatedEngine(self.clock, lasting=_lasting, remember=False)
        self.scheduler = Scheduler(
            store=self.store,
            clock=self.clock,
            changes=Changes(),
            engine=self.engine,
            shares=Shares(self.store, state, self.clock),
            accounts=Accounts(self.store),
        )
        self.scheduler.listen()
        self._random = random.Random(1)
        self._add("resourceGroup", [(GROUP, None, {})])
        self._add("workspace", [(WORKSPACE, GROUP, {})])
        self._add("experiment", [(EXPERIMENT, WORKSPACE, {})])

    def add_clusters(self, nodes: int) -> None:
        """Make clusters of up to 1,000 nodes each and prepare their nodes."""
        now = iso_timestamp(self.clock.now())
        sizes = [CLUSTER_NODES] * (nodes // CLUSTER_NODES)
        sizes += [nodes % CLUSTER_NODES] if nodes % CLUSTER_NODES else []
        self._clusters = [f"{WORKSPACE}/clusters/c{i}" for i in range(len(sizes))]
        scales = [
            {"autoScale": {"minimumNodeCount": size // 2, "maximumNodeCount": size}}
            if number in AUTOMATIC
            else {"manual": {"targetNodeCount": size, "nodeDeallocationOption": "requeue"}}
            for number, size in enumerate(sizes)
        ]
        self._add(
            "cluster",
            [
                (key, WORKSPACE, {"scaleSettings": scale})
                for key, scale in zip(self._clusters, scales, strict=True)
            ],
        )
        with self.store.write() as records:
            records.executemany(
                "INSERT INTO clusters (key, uid, target_nodes, allocation_state, "
                "allocation_state_at) VALUES (?, ?, ?, 'resizing', ?)",
                [
                    (key.lower(), f"cluster-{i}", size, now)
                    for i, (key, size) in enumerate(zip(self._clusters, sizes, strict=True))
                ],
            )
        self.scheduler.settle()

    def submit(self, count: int) -> None:
        """Record jobs as the management plane does, in transactions of 1,000."""
        for first in range(0, count, 1000):
            self._submit(range(first, min(first + 1000, count)))
        self.scheduler.wake()

    def run(self) -> None:
        """Move the clock from end to end of tasks until none runs."""
        self.scheduler.settle()
        while (moment := self.engine.next_end()) is not None:
            self.clock.moment = moment
            self.engine.end_due()
            self.scheduler.settle()

    def states(self) -> dict[str, int]:
        """Count the jobs by execution state."""
        with self.store.read() as records:
            rows = records.execute("SELECT execution_state, COUNT(*) FROM jobs GROUP BY 1")
            return {state: count for state, count in rows}  # noqa: C416  # rows are no pairs

    def _submit(self, numbers: range) -> None:
        now = iso_timestamp(self.clock.now())
        jobs = [(f"{EXPERIMENT}/jobs/j{i}", self._random.choice(WIDTHS)) for i in numbers]
        self._add("job", [(key, EXPERIMENT, self._job(key, width)) for key, width in jobs])
        with self.store.write() as records:
            records.executemany(
                "INSERT INTO jobs (key, uid, cluster_key, priority, node_count, execution_state, "
                "execution_state_at) VALUES (?, ?, ?, ?, ?, 'queued', ?)",
                [
                    (
                        key.lower(),
                        f"uid-{key}",
                        self._random.choice(self._clusters).lower(),
                        self._random.choice((-1, 0, 0, 0, 1)),
                        width,
                        now,
                    )
                    for key, width in jobs
                ],
            )

    def _job(self, key: str, width: int) -> dict[str, object]:
        return {
            "nodeCount": width,
            "toolType": "custom",
            "customToolkitSettings": {
                "commandLine": f"sleep {self._random.randint(60, 600)} # $AZ_BATCHAI_INPUT_DATA"
            },
            "stdOutErrPathPrefix": "$AZ_BATCHAI_MOUNT_ROOT/share",
            "jobOutputDirectoryPathSegment": f"S/group/{key.rpartition('/')[2]}",
            "inputDirectories": [{"id": "DATA", "path": "$AZ_BATCHAI_MOUNT_ROOT/share/data"}],
            "outputDirectories": [
                {"id": "MODEL", "pathPrefix": "$AZ_BATCHAI_MOUNT_ROOT/share", "pathSuffix": "m"}
            ],
            "environmentVariables": [{"name": "EPOCHS", "value": "3"}],
            "constraints": {"maxWallClockTime": "P7D"},
        }

    def _add(self, kind: str, rows: list[tuple[str, str | None, dict[str, object]]]) -> None:
        now = iso_timestamp(self.clock.now())
        with self.store.write() as records:
            records.executemany(
                "INSERT INTO resources (key, parent_key, kind, id, name, properties, secrets, "
                "provisioning_state, provisioned_at, created_at, modified_at, etag) "
                "VALUES (?, ?, ?, ?, ?, ?, '{}', 'succeeded', ?, ?, ?, 'etag')",
                [
                    (
                        *(key.lower(), parent and parent.lower(), kind, key),
                        *(key.rpartition("/")[2], json.dumps(properties), now, now, now),
                    )
                    for key, parent, properties in rows
                ],
            )


def _lasting(task: Task) -> timedelta:
    return timedelta(seconds=int(task.command_line.split()[1]))


def _measure(nodes: int, jobs: int) -> dict[str, float]:
    """Run one simulation in this process."""
    with tempfile.TemporaryDirectory() as folder:
        simulation = Simulation(Path(folder))
        began = time.process_time()
        simulation.add_clusters(nodes)
        made = time.process_time()
        simulation.submit(jobs)
        submitted = time.process_time()
        start = simulation.clock.now()
        simulation.run()
        ended = time.process_time()
        assert simulation.states() == {"succeeded": jobs}, simulation.states()
        return {
            "nodes_s": made - began,
            "submit_s": submitted - made,
            "schedule_s": ended - submitted,
            "total_s": time.process_time(),
            "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / MEGABYTE,
            "virtual_h": (simulation.clock.now() - start).total_seconds() / 3600,
        }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=NODES)
    parser.add_argument("--jobs", type=int, nargs="+", default=JOBS)
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one is not None:
        print(json.dumps(_measure(arguments.nodes, arguments.one)))
        return
    print("| jobs | nodes s | submit s | schedule s | ms a job | whole process s | peak MiB |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for jobs in arguments.jobs:
        command = [sys.executable, __file__, "--nodes", str(arguments.nodes), "--one", str(jobs)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        found = json.loads(done.stdout)
        print(
            f"| {jobs:,} | {found['nodes_s']:.1f} | {found['submit_s']:.2f} "
            f"| {found['schedule_s']:.2f} | {found['schedule_s'] / jobs * 1000:.3f} "
            f"| {found['total_s']:.1f} | {found['peak_mib']:.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()

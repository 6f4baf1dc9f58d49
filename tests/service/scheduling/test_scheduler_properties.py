"""Whatever happens in whatever order, nothing runs twice, is lost or is double-booked."""

import json
import tempfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchai_recipes.service.changes import Changes
from batchai_recipes.service.clock import iso_timestamp
from batchai_recipes.service.engines.simulated import SimulatedEngine
from batchai_recipes.service.files.accounts import Accounts
from batchai_recipes.service.files.shares import Shares
from batchai_recipes.service.scheduling.eviction import evict
from batchai_recipes.service.scheduling.scheduler import Scheduler
from batchai_recipes.service.state_directory import StateDirectory
from batchai_recipes.service.store import Store

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("submit"), st.integers(1, 3), st.booleans()),
        st.tuples(st.just("end"), st.integers(0, 5), st.integers(0, 1)),
        st.tuples(st.just("scale"), st.integers(0, 3)),
        st.tuples(st.just("terminate"), st.integers(0, 5)),
        st.tuples(st.just("delete"), st.integers(0, 5)),
        st.tuples(st.just("preempt"), st.integers(0, 5)),
        st.tuples(st.just("automatic"), st.integers(0, 2), st.integers(2, 3)),
        st.tuples(st.just("rest"), st.integers(1, 7)),
        st.tuples(st.just("restart")),
    ),
    max_size=20,
)
OPTIONS = st.sampled_from(["requeue", "terminate", "waitforjobcompletion"])


class World:
    """A cluster, its jobs and a scheduler that may be replaced at any time."""

    def __init__(self, folder, rows_type, clock, option, *, stubborn):
        state = StateDirectory(Path(folder) / "state")
        state.create()
        self.store = Store(state.database)
        self.rows = rows_type(self.store, clock)
        self.clock = clock
        self.parts = {
            "store": self.store,
            "clock": clock,
            "changes": Changes(),
            "shares": Shares(self.store, state, clock),
            "accounts": Accounts(self.store),
            "engine": SimulatedEngine(clock, stubborn=stubborn),
        }
        self.engine = self.parts["engine"]
        self.cluster = self.rows.add_cluster(nodes=2, option=option)
        self.jobs = []
        self.restart()

    def restart(self):
        """Replace the scheduler, as a killed and restarted service does."""
        self.scheduler = Scheduler(**self.parts)
        self.scheduler.listen()

    def submit(self, nodes, prepared):
        """Add a job."""
        name = f"job{len(self.jobs)}"
        preparation = {"jobPreparation": {"commandLine": "true"}} if prepared else {}
        self.jobs.append(self.rows.add_job(name, nodes=nodes, **preparation))

    def end(self, number, exit_code):
        """Let one of the running tasks end."""
        running = self.engine.running()
        if running:
            self.engine.end(running[number % len(running)], exit_code)

    def scale(self, nodes):
        """Change the cluster's target, which it keeps from then on."""
        with self.store.write() as records:
            records.execute(
                "UPDATE resources SET properties = json_remove(properties, "
                "'$.scaleSettings.autoScale') WHERE key = ?",
                (self.cluster,),
            )
        self.rows.scale(self.cluster, nodes)

    def preempt(self, number):
        """Take one of the nodes away."""
        with self.store.write() as records:
            nodes = records.execute("SELECT id FROM nodes ORDER BY rowid").fetchall()
            if nodes:
                node = nodes[number % len(nodes)]["id"]
                evict(records, node, iso_timestamp(self.clock.now()))

    def automatic(self, minimum, maximum):
        """Let the cluster scale by itself, as a PATCH does."""
        bounds = {"minimumNodeCount": minimum, "maximumNodeCount": maximum}
        scale = json.dumps({"scaleSettings": {"autoScale": bounds}})
        with self.store.write() as records:
            records.execute(
                "UPDATE resources SET properties = json_patch(properties, ?) WHERE key = ?",
                (scale, self.cluster),
            )
            records.execute(
                "UPDATE clusters SET target_nodes = min(max(target_nodes, ?), ?) WHERE key = ?",
                (minimum, maximum, self.cluster),
            )

    def rest(self, minutes):
        """Let time go by."""
        self.clock.advance(minutes=minutes)

    def terminate(self, number):
        """Ask for the end of a job that has not ended."""
        alive = [job for job in self.present() if job["execution_state"] in {"queued", "running"}]
        if alive:
            self.rows.terminate(alive[number % len(alive)]["key"])

    def delete(self, number):
        """Ask for the deletion of a job."""
        present = self.present()
        if present:
            self.rows.delete(present[number % len(present)]["key"])

    def present(self):
        """Return the rows of the jobs that are not deleted."""
        return [self.rows.job(job) for job in self.jobs if self.rows.exists(job)]

    def check(self):
        """Look at everything that must always hold between two steps."""
        nodes = self.rows.node_states(self.cluster)
        cluster = self.rows.cluster(self.cluster)
        held = [
            node
            for job in self.present()
            if job["execution_state"] in {"running", "terminating"}
            for node in self.rows.nodes_of(job["key"])
        ]
        assert max(Counter(held).values(), default=1) == 1, "a node serves two jobs"
        assert (
            nodes.count("running") <= len(held) <= nodes.count("running") + nodes.count("leaving")
        )
        steady = cluster["allocation_state"] == "steady"
        assert steady == ("leaving" not in nodes)
        assert len([state for state in nodes if state != "leaving"]) == cluster["target_nodes"]
        for job in self.present():
            expected = job["node_count"] if job["started_at"] else 0
            assert len(self.rows.nodes_of(job["key"])) == expected
        uids = {job["uid"] for job in self.present()}
        assert {key.owner_id for key in self.engine.running()} <= uids, "a deleted job runs"


@pytest.mark.parametrize("stubborn", [False, True])
@settings(max_examples=25, deadline=None)
@given(steps=STEPS, option=OPTIONS)
def test_invariants_hold_after_every_step_and_every_job_comes_to_an_end(
    steps, option, stubborn, rows_type, clock_type
):
    """Then, with enough nodes and every task succeeding, no job stays behind."""
    with tempfile.TemporaryDirectory() as folder:
        world = World(folder, rows_type, clock_type(), option, stubborn=stubborn)
        for name, *arguments in steps:
            getattr(world, name)(*arguments)
            world.scheduler.settle()
            world.check()
        world.scale(3)
        world.scheduler.settle()
        while world.engine.running():
            world.end(0, 0)
            world.scheduler.settle()
            world.check()
        assert {job["execution_state"] for job in world.present()} <= {"succeeded", "failed"}
        world.store.close()

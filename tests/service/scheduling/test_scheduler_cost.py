"""What a step touches does not grow with what there is: counted in statements, not in seconds."""

import itertools
import random
from datetime import timedelta

import pytest

from batchai_recipes.service.engines.simulated import SimulatedEngine

CLUSTERS = 4
NODES = 50
JOBS = 1000


def lasting(task):
    """The command says how long it takes, in seconds."""
    return timedelta(seconds=int(task.command_line.split()[1]))


@pytest.fixture
def engine(hand_clock):
    """An engine whose tasks end as the clock goes on."""
    return SimulatedEngine(hand_clock, lasting=lasting)


class World:
    """Clusters, jobs, and a count of the statements that the scheduler executes."""

    def __init__(self, rows, scheduler, engine, clock):
        self.rows, self.scheduler, self.engine, self.clock = rows, scheduler, engine, clock
        self.random = random.Random(1)
        self.statements = 0
        self.names = [f"cluster{i}" for i in range(CLUSTERS)]
        for number, name in enumerate(self.names):
            rows.add_cluster(name, nodes=NODES, auto=(0, NODES) if number == 0 else None)
        scheduler.settle()
        for connection in rows.store._all:
            connection.set_trace_callback(self.count)

    def count(self, _statement):
        """Count a statement."""
        self.statements += 1

    def submit(self, count, prefix):
        """Queue jobs of one to four nodes, most of them of one."""
        keys = [
            self.rows.add_job(
                f"{prefix}{number}",
                command=f"sleep {self.random.randint(10, 60)}",
                cluster=self.random.choice(self.names),
                nodes=self.random.choice((1, 1, 1, 1, 2, 4)),
                priority=self.random.choice((-1, 0, 0, 1)),
            )
            for number in range(count)
        ]
        self.statements = 0
        return keys

    def run(self):
        """Let everything come to its end; return the statements for each job."""
        self.scheduler.settle()
        while (moment := self.engine.next_end()) is not None:
            self.clock.moment = moment
            self.engine.end_due()
            self.scheduler.settle()
        return self.statements


@pytest.mark.slow
def test_a_thousand_jobs_on_two_hundred_nodes(rows, scheduler, engine, hand_clock):
    """Each succeeds once, in order, for as many statements as one of few jobs takes."""
    world = World(rows, scheduler, engine, hand_clock)
    few = world.submit(100, "few")
    each_of_few = world.run() / len(few)
    launched = len(engine.launched)
    many = world.submit(JOBS, "many")
    each_of_many = world.run() / len(many)

    assert each_of_many < 1.5 * each_of_few
    assert len(engine.launched) == launched + JOBS
    assert len({task.key for task in engine.launched}) == len(engine.launched)
    with rows.store.read() as records:
        jobs = records.execute(
            "SELECT cluster_key, priority, sequence, started_at, execution_state FROM jobs "
            "WHERE sequence > 100 ORDER BY cluster_key, priority DESC, sequence"
        ).fetchall()
        held = records.execute("SELECT COUNT(*) FROM nodes WHERE job_key IS NOT NULL").fetchone()
    assert {job["execution_state"] for job in jobs} == {"succeeded"}
    assert held[0] == 0
    # All were there from the beginning, so within a cluster and a priority they start in line.
    for before, after in itertools.pairwise(jobs):
        if before["cluster_key"] == after["cluster_key"]:
            assert before["started_at"] <= after["started_at"], (tuple(before), tuple(after))


def test_a_step_with_nothing_to_do_writes_nothing(rows, scheduler, store):
    """However many jobs wait for nodes that are not there."""
    rows.add_cluster(nodes=0)
    for number in range(50):
        rows.add_job(f"job{number}")
    scheduler.settle()
    executed = []
    for connection in store._all:
        connection.set_trace_callback(executed.append)
    scheduler.settle()
    changing = [text for text in executed if text.split()[0] in {"INSERT", "UPDATE", "DELETE"}]
    assert changing == []
    assert len(executed) < 20

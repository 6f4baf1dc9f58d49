"""Clusters that scale by themselves, and those whose nodes are taken away."""

from datetime import timedelta

import pytest

from batchai_recipes.service.clock import iso_timestamp
from batchai_recipes.service.engines.engine import EngineError
from batchai_recipes.service.engines.simulated import SimulatedEngine
from batchai_recipes.service.scheduling.eviction import evict
from batchai_recipes.service.scheduling.preemption import Preemption

SHARE = "$AZ_BATCHAI_MOUNT_ROOT/share"


class TestAutoScale:
    """Between the minimum and the maximum, as jobs come and go."""

    def test_it_begins_with_the_minimum_and_grows_with_the_queue(self, rows, scheduler):
        """As many nodes as the queued jobs need together, and no more than the maximum."""
        cluster = rows.add_cluster(nodes=1, auto=(1, 4))
        scheduler.settle()
        assert rows.node_states(cluster) == ["idle"]
        jobs = [rows.add_job(f"job{i}", nodes=2) for i in range(3)]
        scheduler.settle()
        assert rows.node_states(cluster) == ["running"] * 4
        assert [rows.job(job)["execution_state"] for job in jobs] == [
            *("running", "running", "queued")
        ]
        assert rows.cluster(cluster)["allocation_state"] == "steady"

    def test_it_shrinks_when_nodes_have_been_idle_long_enough(
        self, rows, scheduler, engine, hand_clock
    ):
        """Six minutes, as the real service; not a moment before."""
        cluster = rows.add_cluster(nodes=0, auto=(0, 4))
        job = rows.add_job(nodes=3)
        scheduler.settle()
        engine.end(rows.task_of(job), 0)
        scheduler.settle()
        hand_clock.advance(minutes=5, seconds=59)
        scheduler.settle()
        assert rows.node_states(cluster) == ["idle"] * 3
        hand_clock.advance(seconds=1)
        scheduler.settle()
        assert rows.node_states(cluster) == []
        assert engine.prepared_nodes == {}
        assert rows.cluster(cluster)["target_nodes"] == 0

    def test_how_long_is_an_option(self, rows, new_scheduler, engine, hand_clock):
        """Of the service."""
        scheduler = new_scheduler(scale_down_after=timedelta(seconds=10))
        cluster = rows.add_cluster(nodes=2, auto=(1, 4))
        scheduler.settle()
        hand_clock.advance(seconds=10)
        scheduler.settle()
        assert rows.node_states(cluster) == ["idle"]

    def test_a_node_that_worked_meanwhile_stays(self, rows, scheduler, engine, hand_clock):
        """Its time begins anew, and the one that went on resting goes."""
        cluster = rows.add_cluster(nodes=2, auto=(0, 2))
        scheduler.settle()
        hand_clock.advance(minutes=3)
        job = rows.add_job()
        scheduler.settle()
        (worked,) = rows.nodes_of(job)
        engine.end(rows.task_of(job), 0)
        scheduler.settle()
        hand_clock.advance(minutes=3)
        scheduler.settle()
        assert [worked] == list(engine.prepared_nodes)
        assert rows.node_states(cluster) == ["idle"]

    def test_a_job_wider_than_the_maximum_makes_it_grow_for_nobody(self, rows, scheduler):
        """It could never start."""
        cluster = rows.add_cluster(nodes=0, auto=(0, 2))
        wide = rows.add_job("wide", nodes=3)
        narrow = rows.add_job("narrow")
        scheduler.settle()
        assert rows.node_states(cluster) == ["running"]
        assert [rows.job(job)["execution_state"] for job in (wide, narrow)] == ["queued", "running"]

    def test_unusable_nodes_are_replaced_in_time(self, rows, scheduler, engine, hand_clock):
        """They go when they have been unusable as long as others may be idle."""
        cluster = rows.add_cluster(nodes=1, auto=(1, 2))
        engine.refuse_nodes(EngineError("the disk is full"))
        scheduler.settle()
        assert rows.node_states(cluster) == ["unusable"]
        engine.refuse_nodes(None)
        hand_clock.advance(minutes=6)
        scheduler.settle()
        assert rows.node_states(cluster) == ["idle"]
        assert rows.cluster(cluster)["errors"] == []

    def test_a_new_scheduler_keeps_the_appointments(
        self, rows, scheduler, new_scheduler, hand_clock
    ):
        """The time at which a node became idle is on record."""
        cluster = rows.add_cluster(nodes=2, auto=(0, 2))
        scheduler.settle()
        hand_clock.advance(minutes=6)
        new_scheduler().settle()
        assert rows.node_states(cluster) == []


class TestPreemption:
    """Low-priority nodes are taken away, replaced, and their jobs queued again."""

    @pytest.fixture
    def preempt(self, store, rows, hand_clock):
        """Take away a node of a job, as a request or the rate does."""

        def take(job, index=0):
            node = rows.nodes_of(job)[index]
            with store.write() as records:
                evict(records, node, iso_timestamp(hand_clock.now()))
            return node

        return take

    def test_the_node_is_replaced_and_the_job_runs_again(self, rows, scheduler, engine, preempt):
        """On all of its nodes, from the beginning, also where nodes left by PATCH end jobs."""
        cluster = rows.add_cluster(nodes=2, option="terminate", priority="lowpriority")
        job = rows.add_job(nodes=2)
        scheduler.settle()
        taken = preempt(job, 1)
        scheduler.settle()
        assert rows.job(job)["execution_state"] == "running"
        assert taken not in rows.nodes_of(job)
        assert rows.node_states(cluster) == ["running", "running"]
        assert len(engine.launched) == 2
        assert rows.cluster(cluster)["allocation_state"] == "steady"

    def test_meanwhile_its_node_leaves(self, rows, new_scheduler, hand_clock, preempt):
        """Counts add up: it is there until nothing of the job runs."""
        engine = SimulatedEngine(hand_clock, stubborn=True)
        scheduler = new_scheduler(engine)
        cluster = rows.add_cluster(priority="lowpriority")
        job = rows.add_job()
        scheduler.settle()
        preempt(job)
        scheduler.settle()
        assert rows.node_states(cluster) == ["idle", "leaving"]
        assert rows.job(job)["execution_state"] == "running"
        engine.end(rows.task_of(job), 143)
        scheduler.settle()
        assert rows.node_states(cluster) == ["running"]

    def test_the_next_run_finds_the_outputs_of_the_one_before(
        self, rows, scheduler, engine, preempt, share_mount
    ):
        """In directories of their own; what the API shows is where the present run writes."""
        rows.add_cluster(priority="lowpriority", **share_mount())
        job = rows.add_job(outputDirectories=[{"id": "MODEL", "pathPrefix": SHARE}])
        scheduler.settle()
        preempt(job)
        scheduler.settle()
        first, second = (task.environment for task in engine.launched)
        assert "AZ_BATCHAI_PREV_OUTPUT_MODEL" not in first

        def below_root(variables, name):
            return variables[name].removeprefix(variables["AZ_BATCHAI_MOUNT_ROOT"])

        before = below_root(first, "AZ_BATCHAI_OUTPUT_MODEL")
        assert before == below_root(second, "AZ_BATCHAI_PREV_OUTPUT_MODEL")
        assert before != below_root(second, "AZ_BATCHAI_OUTPUT_MODEL")
        (segment,) = rows.one(
            "SELECT json_extract(properties, '$.jobOutputDirectoryPathSegment') AS segment "
            "FROM resources WHERE key = ?",
            job,
        ).values()
        assert segment in second["AZ_BATCHAI_OUTPUT_MODEL"]

    def test_a_rate_takes_nodes_of_low_priority_only(self, rows, new_scheduler, hand_clock):
        """In the long run each of them; a new one has a time of its own."""
        scheduler = new_scheduler(preemption=Preemption(60.0, seed=1))
        low = rows.add_cluster("low", nodes=3, priority="lowpriority")
        dedicated = rows.add_cluster("dedicated", nodes=3)

        def nodes_of(cluster):
            with rows.store.read() as records:
                found = records.execute("SELECT id FROM nodes WHERE cluster_key = ?", (cluster,))
                return {row["id"] for row in found}

        scheduler.settle()
        before = nodes_of(low), nodes_of(dedicated)
        for _ in range(60):
            hand_clock.advance(minutes=1)
            scheduler.settle()
        assert not before[0] & nodes_of(low)
        assert before[1] == nodes_of(dedicated)
        assert rows.node_states(low) == ["idle"] * 3

    def test_a_new_scheduler_draws_anew(self, rows, scheduler, new_scheduler, hand_clock):
        """So that a restart spares nobody."""
        rows.add_cluster(priority="lowpriority")
        scheduler.settle()
        (before,) = rows.one("SELECT id FROM nodes").values()
        successor = new_scheduler(preemption=Preemption(60.0, seed=1))
        successor.settle()
        hand_clock.advance(hours=1)
        successor.settle()
        assert rows.one("SELECT id FROM nodes")["id"] != before


@pytest.mark.parametrize("wish", ["terminate", "delete"])
@pytest.mark.parametrize("moment", ["queued", "preparing", "running", "terminating", "ended"])
def test_a_job_can_be_ended_and_deleted_in_every_state(
    rows, new_scheduler, hand_clock, moment, wish
):
    """Nothing of it runs afterwards, its nodes are free and the operation is over."""
    engine = SimulatedEngine(hand_clock, stubborn=True)
    scheduler = new_scheduler(engine)
    cluster = rows.add_cluster(nodes=0 if moment == "queued" else 1)
    preparation = {"jobPreparation": {"commandLine": "prepare"}} if moment == "preparing" else {}
    job = rows.add_job(**preparation)
    scheduler.settle()
    if moment == "terminating":
        rows.terminate(job)
        scheduler.settle()
    if moment == "ended":
        engine.end(rows.task_of(job), 0)
        scheduler.settle()
        if wish == "terminate":
            return  # which the management plane answers by itself
    operation = getattr(rows, wish)(job)
    scheduler.settle()
    for key in engine.running():
        assert rows.operation_status(operation) == "InProgress"
        engine.end(key, 143)
    scheduler.settle()
    assert engine.running() == []
    assert engine.prepared_jobs == {}
    assert rows.operation_status(operation) == "Succeeded"
    assert rows.node_states(cluster) == ([] if moment == "queued" else ["idle"])
    if wish == "terminate":
        ended = rows.job(job)
        assert ended["execution_state"] == "failed"
        assert [error["code"] for error in ended["errors"]] == ["JobTerminated"]
        assert ended["exit_code"] == (None if moment == "queued" else 143)
    else:
        assert not rows.exists(job)


class TestLostNodes:
    """A machine fails: its node is unusable and replaced, its job is over or runs again."""

    def test_the_job_fails_and_the_node_is_replaced(self, rows, scheduler, engine):
        """The error says which node was lost, and why."""
        cluster = rows.add_cluster(nodes=2)
        job = rows.add_job(nodes=2)
        scheduler.settle()
        before = rows.nodes_of(job)
        engine.lose_node(before[1], "the rack burnt")
        scheduler.settle()
        found = rows.job(job)
        assert found["execution_state"] == "failed"
        assert found["errors"][0]["code"] == "JobLost"
        assert f"node {before[1]}: the rack burnt" in found["errors"][0]["message"]
        assert rows.node_states(cluster) == ["idle", "idle"]
        assert set(engine.prepared_nodes) & set(before) == {before[0]}

    def test_it_is_unusable_until_its_job_has_ended(self, rows, new_scheduler, hand_clock):
        """The cluster says why meanwhile; what runs on its other nodes is ended first."""
        engine = SimulatedEngine(hand_clock, stubborn=True)
        scheduler = new_scheduler(engine)
        cluster = rows.add_cluster(nodes=2)
        job = rows.add_job(nodes=2, toolType="custommpi", customMpiSettings={"commandLine": "true"})
        scheduler.settle()
        engine.lose_node(rows.nodes_of(job)[1], "the rack burnt")
        scheduler.settle()
        assert rows.node_states(cluster) == ["running", "unusable"]
        assert rows.cluster(cluster)["errors"][0]["code"] == "NodeLost"
        (running,) = engine.running()
        engine.end(running, 143)
        scheduler.settle()
        assert rows.job(job)["errors"][0]["code"] == "JobLost"
        assert rows.node_states(cluster) == ["idle", "idle"]
        assert rows.cluster(cluster)["errors"] == []

    def test_an_idle_node_is_replaced(self, rows, scheduler, engine):
        """At once."""
        cluster = rows.add_cluster(nodes=1)
        scheduler.settle()
        (before,) = engine.prepared_nodes
        engine.lose_node(before, "the rack burnt")
        scheduler.settle()
        assert rows.node_states(cluster) == ["idle"]
        assert before not in engine.prepared_nodes

    def test_on_low_priority_nodes_the_job_runs_again(self, rows, scheduler, engine):
        """As when it is preempted."""
        cluster = rows.add_cluster(nodes=1, priority="lowpriority")
        job = rows.add_job()
        scheduler.settle()
        (before,) = rows.nodes_of(job)
        engine.lose_node(before, "the spot machine was taken back")
        scheduler.settle()
        assert rows.job(job)["execution_state"] == "running"
        assert before not in rows.nodes_of(job)
        assert rows.node_states(cluster) == ["running"]

    def test_a_job_that_had_succeeded_has_succeeded(self, rows, scheduler, engine):
        """Whatever became of its machine after that."""
        rows.add_cluster(nodes=1)
        job = rows.add_job()
        scheduler.settle()
        (node,) = rows.nodes_of(job)
        engine.end(rows.task_of(job), 0)
        engine.lose_node(node, "the rack burnt")
        scheduler.settle()
        assert rows.job(job)["execution_state"] == "succeeded"

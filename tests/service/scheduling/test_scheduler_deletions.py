"""How the scheduler deletes, over a simulated engine, step by step."""

from batchai_recipes.service.engines.simulated import SimulatedEngine


class TestDeletions:
    """What is deleted goes once nothing of it runs."""

    def test_a_running_job_is_terminated_and_deleted(self, rows, new_scheduler, hand_clock):
        """Its row stays until its processes are gone."""
        engine = SimulatedEngine(hand_clock, stubborn=True)
        scheduler = new_scheduler(engine)
        cluster = rows.add_cluster()
        job = rows.add_job()
        scheduler.settle()
        task = rows.task_of(job)
        operation = rows.delete(job)
        scheduler.settle()
        assert rows.job(job)["execution_state"] == "terminating"
        assert rows.operation_status(operation) == "InProgress"
        engine.end(task, 143)
        scheduler.settle()
        assert not rows.exists(job)
        assert rows.operation_status(operation) == "Succeeded"
        assert rows.node_states(cluster) == ["idle"]

    def test_a_deletion_that_came_during_the_step_ends_no_earlier(self, rows, scheduler, engine):
        """The step has read its clock before the operation began."""
        rows.add_cluster()
        job = rows.add_job()
        rows.clock.advance(seconds=1)
        operation = rows.delete(job)
        rows.clock.advance(seconds=-1)
        scheduler.settle()
        times = rows.one("SELECT started_at, ended_at FROM operations WHERE id = ?", operation)
        assert times["ended_at"] == times["started_at"]

    def test_a_queued_job_is_deleted_at_once(self, rows, scheduler, engine):
        """It never starts."""
        rows.add_cluster()
        job = rows.add_job()
        rows.delete(job)
        scheduler.settle()
        assert not rows.exists(job)
        assert engine.launched == []

    def test_a_deleted_cluster_releases_nodes_and_jobs(self, rows, new_scheduler, hand_clock):
        """Its running job is terminated, its queued one fails."""
        engine = SimulatedEngine(hand_clock, stubborn=True)
        scheduler = new_scheduler(engine)
        cluster = rows.add_cluster()
        running, queued = rows.add_job("running"), rows.add_job("queued")
        scheduler.settle()
        operation = rows.delete(cluster)
        scheduler.settle()
        assert rows.node_states(cluster) == ["leaving"]
        assert rows.cluster(cluster)["allocation_state"] == "resizing"
        engine.end(rows.task_of(running), 143)
        scheduler.settle()
        codes = [rows.job(job)["errors"][0]["code"] for job in (running, queued)]
        assert codes == ["JobTerminated", "ClusterNotFound"]
        assert not rows.exists(cluster)
        assert engine.prepared_nodes == {}
        assert rows.operation_status(operation) == "Succeeded"

    def test_a_deleted_group_takes_everything_with_it(self, rows, scheduler, engine):
        """Children first, whether or not they were marked."""
        cluster = rows.add_cluster()
        job = rows.add_job()
        scheduler.settle()
        group = "/subscriptions/s/resourcegroups/group"
        operation = rows.delete(group)
        scheduler.settle()
        scheduler.settle()
        assert [rows.exists(key) for key in (cluster, job, group)] == [False, False, False]
        assert (engine.prepared_nodes, engine.prepared_jobs, engine.running()) == ({}, {}, [])
        assert rows.operation_status(operation) == "Succeeded"

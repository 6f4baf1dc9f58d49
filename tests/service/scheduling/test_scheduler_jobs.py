"""How the scheduler runs jobs, over a simulated engine, step by step."""

from datetime import timedelta

import pytest

from batchai_recipes.service.engines.simulated import SimulatedEngine


class TestJobs:
    """From the queue to the end."""

    def test_a_job_runs_to_success(self, rows, scheduler, engine, hand_clock):
        """Its times are those of its start and of its last task."""
        cluster = rows.add_cluster()
        job = rows.add_job()
        scheduler.settle()
        running = rows.job(job)
        assert running["execution_state"] == "running"
        assert rows.node_states(cluster) == ["running"]
        hand_clock.advance(seconds=90)
        engine.end(rows.task_of(job), 0)
        hand_clock.advance(seconds=1)
        scheduler.settle()
        ended = rows.job(job)
        assert (
            ended["execution_state"],
            ended["exit_code"],
            ended["errors"],
        ) == ("succeeded", 0, [])
        assert (
            ended["started_at"],
            ended["ended_at"],
        ) == ("2018-06-06T20:00:00Z", "2018-06-06T20:01:30Z")
        assert rows.node_states(cluster) == ["idle"]
        assert engine.prepared_jobs == {}

    def test_a_non_zero_exit_fails_the_job(self, rows, scheduler, engine):
        """The error says where to look."""
        rows.add_cluster()
        job = rows.add_job()
        scheduler.settle()
        engine.end(rows.task_of(job), 7)
        scheduler.settle()
        ended = rows.job(job)
        (error,) = ended["errors"]
        assert (
            ended["execution_state"],
            ended["exit_code"],
            error["code"],
        ) == ("failed", 7, "JobFailed")
        assert "exit code 7" in error["message"]
        assert "stderr.txt" in error["message"]

    def test_jobs_wait_for_all_their_nodes(self, rows, scheduler, engine):
        """A job of two nodes starts when both are idle, and nobody slips in before it."""
        cluster = rows.add_cluster(nodes=2)
        first = rows.add_job("first")
        wide = rows.add_job("wide", nodes=2)
        late = rows.add_job("late")
        scheduler.settle()
        states = [rows.job(job)["execution_state"] for job in (first, wide, late)]
        assert states == ["running", "queued", "queued"]
        engine.end(rows.task_of(first), 0)
        scheduler.settle()
        states = [rows.job(job)["execution_state"] for job in (first, wide, late)]
        assert states == ["succeeded", "running", "queued"]
        assert rows.node_states(cluster) == ["running", "running"]
        assert len(set(rows.nodes_of(wide))) == 2

    def test_preparation_runs_on_every_node_first(self, rows, scheduler, engine):
        """The process starts when all have succeeded."""
        rows.add_cluster(nodes=2)
        job = rows.add_job(nodes=2, jobPreparation={"commandLine": "prepare"})
        scheduler.settle()
        assert [task.command_line for task in engine.launched] == ["prepare", "prepare"]
        engine.end(rows.task_of(job, "preparation-0"), 0)
        scheduler.settle()
        assert [rows.task_of(job, "preparation-1")] == engine.running()
        engine.end(rows.task_of(job, "preparation-1"), 0)
        scheduler.settle()
        assert [rows.task_of(job)] == engine.running()

    def test_failed_preparation_fails_the_job(self, rows, scheduler, engine):
        """The other node's preparation is terminated, and the process never starts."""
        cluster = rows.add_cluster(nodes=2)
        job = rows.add_job(nodes=2, jobPreparation={"commandLine": "false"})
        scheduler.settle()
        engine.end(rows.task_of(job, "preparation-0"), 1)
        scheduler.settle()
        scheduler.settle()
        ended = rows.job(job)
        codes = [error["code"] for error in ended["errors"]]
        assert (
            ended["execution_state"],
            ended["exit_code"],
            codes,
        ) == ("failed", 1, ["JobPreparationFailed"])
        assert engine.running() == []
        assert rows.node_states(cluster) == ["idle", "idle"]

    def test_a_terminated_queued_job_fails_at_once(self, rows, scheduler, engine):
        """It has no exit code and never ran."""
        job = rows.add_job()
        rows.add_cluster(nodes=0)
        operation = rows.terminate(job)
        scheduler.settle()
        ended = rows.job(job)
        codes = [error["code"] for error in ended["errors"]]
        assert (
            ended["execution_state"],
            ended["exit_code"],
            codes,
        ) == ("failed", None, ["JobTerminated"])
        assert rows.operation_status(operation) == "Succeeded"
        assert engine.launched == []

    def test_a_terminated_running_job_fails_when_it_has_ended(
        self, rows, new_scheduler, hand_clock
    ):
        """Meanwhile it is terminating, and so is the operation."""
        engine = SimulatedEngine(hand_clock, stubborn=True)
        scheduler = new_scheduler(engine)
        rows.add_cluster()
        job = rows.add_job()
        scheduler.settle()
        operation = rows.terminate(job)
        scheduler.settle()
        assert [rows.task_of(job)] == engine.termination_requests
        assert rows.job(job)["execution_state"] == "terminating"
        assert rows.operation_status(operation) == "InProgress"
        engine.end(rows.task_of(job), 143)
        scheduler.settle()
        ended = rows.job(job)
        codes = [error["code"] for error in ended["errors"]]
        assert (
            ended["execution_state"],
            ended["exit_code"],
            codes,
        ) == ("failed", 143, ["JobTerminated"])
        assert rows.operation_status(operation) == "Succeeded"

    def test_a_job_that_had_ended_before_its_termination_keeps_its_result(
        self, rows, scheduler, engine
    ):
        """The wish came too late."""
        rows.add_cluster()
        job = rows.add_job()
        scheduler.settle()
        engine.end(rows.task_of(job), 0)
        rows.terminate(job)
        scheduler.settle()
        assert (
            rows.job(job)["execution_state"],
            rows.job(job)["errors"],
        ) == ("succeeded", [])

    def test_a_job_that_exceeds_its_time_fails(self, rows, scheduler, engine, hand_clock):
        """The limit given to the engine is what is left of the job's time."""
        rows.add_cluster()
        job = rows.add_job(
            constraints={"maxWallClockTime": "PT1H"}, jobPreparation={"commandLine": "prepare"}
        )
        scheduler.settle()
        hand_clock.advance(minutes=20)
        engine.end(rows.task_of(job, "preparation-0"), 0)
        scheduler.settle()
        limits = [timedelta(seconds=task.time_limit_seconds) for task in engine.launched]
        assert [timedelta(hours=1), timedelta(minutes=40)] == limits
        engine.run_out_of_time(rows.task_of(job))
        scheduler.settle()
        (error,) = rows.job(job)["errors"]
        assert error["code"] == "JobMaxWallClockTimeExceeded"
        assert "PT1H" in error["message"]

    def test_a_lost_job_fails_and_is_not_run_again(self, rows, scheduler, engine):
        """Nobody knows what it had done."""
        rows.add_cluster()
        job = rows.add_job()
        scheduler.settle()
        engine.lose(rows.task_of(job))
        scheduler.settle()
        codes = [error["code"] for error in rows.job(job)["errors"]]
        assert (rows.job(job)["execution_state"], codes) == ("failed", ["JobLost"])
        assert len(engine.launched) == 1

    @pytest.mark.parametrize(
        ("properties", "code", "hint"),
        [
            ({"toolType": "mxnet"}, "JobFailed", "There is no toolkit mxnet"),
            (
                {"stdOutErrPathPrefix": "$AZ_BATCHAI_MOUNT_ROT"},
                "JobFailed",
                "AZ_BATCHAI_MOUNT_ROOT",
            ),
            ({"stdOutErrPathPrefix": "relative"}, "JobFailed", "not an absolute path"),
            ({"constraints": {"maxWallClockTime": "7 days"}}, "JobFailed", "not a duration"),
            ({"command": "cp $AZ_BATCHAI_OUTPUT_X ."}, "JobFailed", "AZ_BATCHAI_OUTPUT_X"),
            (
                {"outputDirectories": [{"id": "M", "pathPrefix": "/x", "pathSuffix": "../y"}]},
                "JobFailed",
                "pathSuffix",
            ),
            (
                {"mountVolumes": {"azureBlobFileSystems": [{}]}},
                "ShareMountFailed",
                "relativeMountPath",
            ),
            ({"inputDirectories": [{"path": "/x"}]}, "JobFailed", "malformed"),
        ],
    )
    def test_settings_that_cannot_run_fail_the_job_with_what_to_do(
        self, rows, scheduler, engine, properties, code, hint
    ):
        """Its node is idle again, and other jobs go on."""
        cluster = rows.add_cluster()
        job = rows.add_job(**properties)
        other = rows.add_job("other")
        scheduler.settle()
        ended = rows.job(job)
        (error,) = ended["errors"]
        assert ("failed", None, code) == (
            ended["execution_state"],
            ended["exit_code"],
            error["code"],
        )
        assert hint in error["message"]
        assert [rows.task_of(other)] == engine.running()
        assert rows.node_states(cluster) == ["running"]

    def test_a_job_whose_cluster_is_gone_fails(self, rows, scheduler):
        """It could never run."""
        job = rows.add_job(cluster="nowhere")
        scheduler.settle()
        codes = [error["code"] for error in rows.job(job)["errors"]]
        assert codes == ["ClusterNotFound"]

    def test_a_new_scheduler_takes_over(self, rows, scheduler, new_scheduler, engine):
        """It launches nothing twice and sees the end."""
        rows.add_cluster()
        job = rows.add_job()
        scheduler.settle()
        successor = new_scheduler()
        successor.settle()
        engine.end(rows.task_of(job), 0)
        successor.settle()
        assert rows.job(job)["execution_state"] == "succeeded"
        assert len(engine.launched) == 1

    def test_a_new_scheduler_removes_what_the_one_before_could_not(
        self, rows, scheduler, new_scheduler, engine
    ):
        """A service may die between recording an end and removing the job's folders."""
        rows.add_cluster(nodes=2)
        ended, running = rows.add_job("ended"), rows.add_job("running")
        scheduler.settle()
        uids = [rows.job(job)["uid"] for job in (ended, running)]
        engine.end(rows.task_of(ended), 0)
        scheduler.settle()
        engine.prepare_job(uids[0], (), ())
        new_scheduler().settle()
        assert engine.jobs() == [uids[1]]

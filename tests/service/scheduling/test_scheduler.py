"""The scheduler over a simulated engine, step by step."""

import threading
from datetime import timedelta

import pytest

from batchai_recipes.service.engines.engine import EngineError, TaskKey
from batchai_recipes.service.engines.simulated import SimulatedEngine

FIVE_SECONDS = 5.0


class LaunchBellEngine(SimulatedEngine):
    """Tells when it has launched something; fails once, first, when so asked."""

    def __init__(self, clock, *, stubborn=False, broken=False):
        super().__init__(clock, stubborn=stubborn)
        self.has_launched = threading.Event()
        self.broken = broken

    def launch(self, task):
        """Launch, or fail once."""
        if self.broken:
            self.broken = False
            raise RuntimeError("out of luck")
        super().launch(task)
        self.has_launched.set()


@pytest.fixture
def engine(hand_clock):
    """An engine whose tasks end when the test says so."""
    return LaunchBellEngine(hand_clock)


def task_of(rows, job, name="process-0"):
    """Name a task of a job."""
    return TaskKey("job", rows.job(job)["uid"], name)


class TestClusters:
    """Nodes come and go."""

    def test_a_new_cluster_gets_its_nodes(self, rows, scheduler, engine):
        """They become idle, the cluster steady, and the creation is over."""
        cluster = rows.add_cluster(nodes=2)
        created = rows.add_operation(cluster, "create")
        scheduler.settle()
        assert rows.node_states(cluster) == ["idle", "idle"]
        assert rows.cluster(cluster)["allocation_state"] == "steady"
        assert rows.operation_status(created) == "Succeeded"
        assert len(engine.prepared_nodes) == 2

    def test_the_share_is_mounted_on_each_node(
        self, rows, scheduler, engine, share_mount, share_folder
    ):
        """The engine is given the share's folder."""
        rows.add_cluster(**share_mount())
        scheduler.settle()
        ((mount,),) = engine.prepared_nodes.values()
        assert ("share", share_folder) == (mount.relative_path, mount.source)

    def test_scaling_down_gives_up_idle_nodes_first(self, rows, scheduler, engine):
        """The node that works stays."""
        cluster = rows.add_cluster(nodes=2)
        job = rows.add_job()
        scheduler.settle()
        rows.scale(cluster, 1)
        scheduler.settle()
        assert rows.node_states(cluster) == ["running"]
        assert rows.job(job)["execution_state"] == "running"
        assert list(engine.prepared_nodes) == rows.nodes_of(job)
        assert rows.cluster(cluster)["allocation_state"] == "steady"

    @pytest.mark.parametrize("option", ["requeue", "terminate", "waitforjobcompletion"])
    def test_scaling_down_with_a_running_job_does_as_the_option_says(
        self, rows, new_scheduler, hand_clock, option
    ):
        """Run again, fail, or go on to the end."""
        engine = SimulatedEngine(hand_clock, stubborn=True)
        scheduler = new_scheduler(engine)
        cluster = rows.add_cluster(option=option)
        job = rows.add_job()
        scheduler.settle()
        rows.scale(cluster, 0)
        scheduler.settle()
        assert rows.node_states(cluster) == ["leaving"]
        assert rows.cluster(cluster)["allocation_state"] == "resizing"
        asked = [] if option == "waitforjobcompletion" else [task_of(rows, job)]
        assert asked == engine.termination_requests
        engine.end(task_of(rows, job), 0 if option == "waitforjobcompletion" else 143)
        scheduler.settle()
        ended = rows.job(job)
        expected = {
            "requeue": ("queued", None, []),
            "terminate": ("failed", 143, ["JobTerminated"]),
            "waitforjobcompletion": ("succeeded", 0, []),
        }[option]
        codes = [error["code"] for error in ended["errors"]]
        assert expected == (ended["execution_state"], ended["exit_code"], codes)
        assert rows.node_states(cluster) == []
        assert rows.cluster(cluster)["allocation_state"] == "steady"

    def test_a_requeued_job_runs_again(self, rows, scheduler, engine):
        """On new nodes, from the beginning."""
        cluster = rows.add_cluster()
        job = rows.add_job()
        scheduler.settle()
        rows.scale(cluster, 0)
        scheduler.settle()
        rows.scale(cluster, 1)
        scheduler.settle()
        assert [task_of(rows, job)] == engine.running()
        assert len(engine.launched) == 2

    def test_an_unusable_node_is_counted_and_explained(self, rows, scheduler, share_mount):
        """The cluster is steady, its error names the node, and no job starts."""
        cluster = rows.add_cluster(**share_mount(key="d3Jvbmc="))
        job = rows.add_job()
        scheduler.settle()
        assert rows.node_states(cluster) == ["unusable"]
        seen = rows.cluster(cluster)
        (error,) = seen["errors"]
        node = rows.one("SELECT id FROM nodes")["id"]
        assert seen["allocation_state"] == "steady"
        assert error["code"] == "ShareMountFailed"
        assert "check credentials.accountKey" in error["message"]
        assert [{"name": "nodeId", "value": node}] == error["details"]
        assert rows.job(job)["execution_state"] == "queued"

    def test_scaling_down_and_up_replaces_unusable_nodes(self, rows, scheduler, engine):
        """What was in the way is tried again and the error is gone."""
        cluster = rows.add_cluster()
        engine.refuse_nodes(EngineError("the disk is full"))
        scheduler.settle()
        codes = [error["code"] for error in rows.cluster(cluster)["errors"]]
        assert codes == ["NodePreparationFailed"]
        engine.refuse_nodes(None)
        rows.scale(cluster, 0)
        scheduler.settle()
        rows.scale(cluster, 1)
        scheduler.settle()
        assert rows.node_states(cluster) == ["idle"]
        assert rows.cluster(cluster)["errors"] == []

    def test_a_setup_task_runs_before_the_node_is_idle(self, rows, scheduler, engine):
        """The node prepares until the task has succeeded."""
        task = {"commandLine": "install", "stdOutErrPathPrefix": "$AZ_BATCHAI_MOUNT_ROOT/share"}
        cluster = rows.add_cluster(
            setup={"setupTask": task}, secrets={"setupTask": {"environment": {"TOKEN": "s3cret"}}}
        )
        scheduler.settle()
        assert rows.node_states(cluster) == ["preparing"]
        (launched,) = engine.launched
        assert (launched.command_line, launched.environment["TOKEN"]) == ("install", "s3cret")
        engine.end(launched.key, 0)
        scheduler.settle()
        assert rows.node_states(cluster) == ["idle"]

    def test_a_failed_setup_task_makes_the_node_unusable(self, rows, scheduler, engine):
        """The error says with which exit code."""
        cluster = rows.add_cluster(setup={"setupTask": {"commandLine": "false"}})
        scheduler.settle()
        engine.end(engine.launched[0].key, 9)
        scheduler.settle()
        (error,) = rows.cluster(cluster)["errors"]
        assert error["code"] == "NodeSetupTaskFailed"
        assert "exit code 9" in error["message"]


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
        engine.end(task_of(rows, job), 0)
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
        engine.end(task_of(rows, job), 7)
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
        engine.end(task_of(rows, first), 0)
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
        engine.end(task_of(rows, job, "preparation-0"), 0)
        scheduler.settle()
        assert [task_of(rows, job, "preparation-1")] == engine.running()
        engine.end(task_of(rows, job, "preparation-1"), 0)
        scheduler.settle()
        assert [task_of(rows, job)] == engine.running()

    def test_failed_preparation_fails_the_job(self, rows, scheduler, engine):
        """The other node's preparation is terminated, and the process never starts."""
        cluster = rows.add_cluster(nodes=2)
        job = rows.add_job(nodes=2, jobPreparation={"commandLine": "false"})
        scheduler.settle()
        engine.end(task_of(rows, job, "preparation-0"), 1)
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
        assert [task_of(rows, job)] == engine.termination_requests
        assert rows.job(job)["execution_state"] == "terminating"
        assert rows.operation_status(operation) == "InProgress"
        engine.end(task_of(rows, job), 143)
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
        engine.end(task_of(rows, job), 0)
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
        engine.end(task_of(rows, job, "preparation-0"), 0)
        scheduler.settle()
        limits = [timedelta(seconds=task.time_limit_seconds) for task in engine.launched]
        assert [timedelta(hours=1), timedelta(minutes=40)] == limits
        engine.run_out_of_time(task_of(rows, job))
        scheduler.settle()
        (error,) = rows.job(job)["errors"]
        assert error["code"] == "JobMaxWallClockTimeExceeded"
        assert "PT1H" in error["message"]

    def test_a_lost_job_fails_and_is_not_run_again(self, rows, scheduler, engine):
        """Nobody knows what it had done."""
        rows.add_cluster()
        job = rows.add_job()
        scheduler.settle()
        engine.lose(task_of(rows, job))
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
        assert [task_of(rows, other)] == engine.running()
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
        engine.end(task_of(rows, job), 0)
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
        engine.end(task_of(rows, ended), 0)
        scheduler.settle()
        engine.prepare_job(uids[0], (), ())
        new_scheduler().settle()
        assert engine.jobs() == [uids[1]]


class TestEnvironment:
    """What a job's processes find."""

    def test_the_variables_of_a_job(self, rows, scheduler, engine, share_mount):
        """All that make sense on one machine, the user's own expanded, secrets as they are."""
        rows.add_cluster(nodes=2, **share_mount())
        job = rows.add_job(
            nodes=2,
            secrets={"PASSWORD": "pa$AZ_BATCHAI_MOUNT_ROOT"},
            inputDirectories=[{"id": "DATA", "path": "$AZ_BATCHAI_MOUNT_ROOT/share/$SET"}],
            outputDirectories=[
                {"id": "MODEL", "pathPrefix": "$AZ_BATCHAI_MOUNT_ROOT/share/", "pathSuffix": "m"}
            ],
            environmentVariables=[
                {"name": "SET", "value": "mnist"},
                {"name": "TRAIN", "value": "$AZ_BATCHAI_INPUT_DATA/${SET}.txt"},
                {"name": "AZ_BATCHAI_MOUNT_ROOT", "value": "forged"},
            ],
        )
        scheduler.settle()
        (task,) = engine.launched
        first, second = rows.nodes_of(job)
        uid = rows.job(job)["uid"]
        root = f"/nodes/{first}/mounts"
        place = f"{root}/share/S/group/workspaces/ws/experiments/exp/jobs/job/{uid}"
        expected = {
            "PATH": "/usr/bin:/usr/bin:/bin",
            "PYTHONUNBUFFERED": "1",
            "AZ_BATCHAI_MOUNT_ROOT": root,
            "AZ_BATCHAI_JOB_MOUNT_ROOT": root,
            "AZ_BATCHAI_INPUT_DATA": f"{root}/share/mnist",
            "AZ_BATCHAI_OUTPUT_MODEL": f"{place}/outputs/m",
            "AZ_BATCHAI_STDOUTERR_DIR": f"{place}/stdouterr",
            "AZ_BATCHAI_JOB_TEMP": f"/jobs/{uid}/temp/{first}",
            "AZ_BATCHAI_JOB_TEMP_DIR": f"/jobs/{uid}",
            "AZ_BATCHAI_SHARED_JOB_TEMP": f"/jobs/{uid}/shared",
            "AZ_BATCHAI_MPI_HOST_FILE": f"/jobs/{uid}/hostfile",
            "AZ_BATCHAI_MPI_MASTER_NODE": first,
            "AZ_BATCH_MASTER_NODE": first,
            "AZ_BATCH_HOST_LIST": f"{first},{second}",
            "AZ_BATCHAI_NUM_GPUS": "0",
            "AZ_BATCHAI_NUM_GPUS_PER_NODE": "0",
            "AZ_BATCHAI_TASK_INDEX": "0",
            "SET": "mnist",
            "TRAIN": f"{root}/share/mnist/mnist.txt",
            "PASSWORD": "pa$AZ_BATCHAI_MOUNT_ROOT",
        }
        assert expected == task.environment
        assert {f"{root}/share/mnist", f"{place}/outputs/m", f"{place}/stdouterr"} == set(
            task.directories
        )
        assert f"{place}/stdouterr/stdout.txt" == task.stdout

    def test_a_job_with_volumes_of_its_own_has_a_mount_root_of_its_own(
        self, rows, scheduler, engine, share_mount, share_folder
    ):
        """The share is mounted for the job alone."""
        rows.add_cluster()
        made = share_mount()
        job = rows.add_job(
            mountVolumes=made["setup"]["mountVolumes"],
            account_keys=made["secrets"]["accountKeys"],
            stdOutErrPathPrefix="$AZ_BATCHAI_JOB_MOUNT_ROOT/share",
        )
        scheduler.settle()
        uid = rows.job(job)["uid"]
        ((mount,),) = engine.prepared_jobs.values()
        assert share_folder == mount.source
        assert f"/jobs/{uid}/mounts" == engine.launched[0].environment["AZ_BATCHAI_JOB_MOUNT_ROOT"]

    def test_no_secret_is_in_the_log_or_the_representation(self, rows, scheduler, engine):
        """The command is logged as its user wrote it."""
        rows.add_cluster()
        rows.add_job(command="login $PASSWORD", secrets={"PASSWORD": "hunter2"})
        scheduler.settle()
        (task,) = engine.launched
        assert task.command_line == "login $PASSWORD"
        assert "hunter2" not in repr(task)

    def test_a_container_is_asked_for_with_what_it_takes(self, rows, scheduler, engine):
        """Its image, registry and credentials, and a command line for the image's own Python."""
        rows.add_cluster()
        registry = {
            "image": "ubuntu:16.04",
            "serverUrl": "https://r.io",
            "credentials": {"username": "me"},
        }
        rows.add_job(
            toolType="cntk",
            cntkSettings={"pythonScriptFilePath": "/a.py"},
            containerSettings={"imageSourceRegistry": registry, "shmSize": "2g"},
            environmentVariables=[{"name": "A", "value": "$AZ_BATCHAI_TASK_INDEX"}],
        )
        scheduler.settle()
        (task,) = engine.launched
        wanted = task.container
        assert (wanted.image, wanted.registry, wanted.username) == (
            "ubuntu:16.04",
            "https://r.io",
            "me",
        )
        assert wanted.shm_size == "2g"
        assert wanted.command_line.startswith('exec "python" ')
        assert not task.command_line.startswith('exec "python" ')
        assert wanted.environment["A"] == "0"
        assert "PATH" not in wanted.environment


@pytest.mark.parametrize(
    ("vm_size", "gpus"),
    [("STANDARD_D1", 0), ("Standard_NC12", 2), ("STANDARD_ND96ISR_H200_V9", 1), ("huge", 0)],
)
def test_a_node_asks_for_the_gpus_of_its_size(rows, scheduler, engine, vm_size, gpus):
    """One at least, where it is a GPU size that is not known."""
    rows.add_cluster(vm_size=vm_size)
    scheduler.settle()
    assert [*engine.gpu_counts.values()] == [gpus]


class TestDeletions:
    """What is deleted goes once nothing of it runs."""

    def test_a_running_job_is_terminated_and_deleted(self, rows, new_scheduler, hand_clock):
        """Its row stays until its processes are gone."""
        engine = SimulatedEngine(hand_clock, stubborn=True)
        scheduler = new_scheduler(engine)
        cluster = rows.add_cluster()
        job = rows.add_job()
        scheduler.settle()
        task = task_of(rows, job)
        operation = rows.delete(job)
        scheduler.settle()
        assert rows.job(job)["execution_state"] == "terminating"
        assert rows.operation_status(operation) == "InProgress"
        engine.end(task, 143)
        scheduler.settle()
        assert not rows.exists(job)
        assert rows.operation_status(operation) == "Succeeded"
        assert rows.node_states(cluster) == ["idle"]

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
        engine.end(task_of(rows, running), 143)
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


class TestThread:
    """The scheduler in its own thread."""

    def test_it_acts_when_woken_and_announces_what_it_did(self, rows, scheduler, engine, changes):
        """Commits ring the bell; ends of tasks wake it by themselves."""
        scheduler.start()
        try:
            rows.add_cluster()
            job = rows.add_job()
            scheduler.wake()
            assert engine.has_launched.wait(FIVE_SECONDS)
            engine.end(task_of(rows, job), 0)
            assert changes.wait_until(
                lambda: rows.job(job)["execution_state"] == "succeeded", FIVE_SECONDS
            )
        finally:
            scheduler.stop()

    def test_stopping_leaves_jobs_running(self, rows, scheduler, engine, changes):
        """Nothing is terminated."""
        rows.add_cluster()
        job = rows.add_job()
        scheduler.start()
        assert changes.wait_until(
            lambda: rows.job(job)["execution_state"] == "running", FIVE_SECONDS
        )
        scheduler.stop()
        assert engine.termination_requests == []
        assert rows.job(job)["execution_state"] == "running"

    def test_it_survives_an_error(self, rows, new_scheduler, hand_clock, caplog):
        """After a failure it tries again by itself."""
        engine = LaunchBellEngine(hand_clock, broken=True)
        scheduler = new_scheduler(engine)
        rows.add_cluster()
        rows.add_job()
        scheduler.start()
        try:
            assert engine.has_launched.wait(FIVE_SECONDS)
        finally:
            scheduler.stop()
        assert "out of luck" in caplog.text

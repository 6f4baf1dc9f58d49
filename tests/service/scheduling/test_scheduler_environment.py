"""What the scheduler gives the tasks of a job, over a simulated engine."""

import pytest


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

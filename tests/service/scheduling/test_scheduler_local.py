"""The scheduler with real processes: what a user of one machine gets."""

import json
import os
import sys
from pathlib import Path

import pytest

from batchai_recipes.service.clock import SystemClock
from batchai_recipes.service.engines import containers
from batchai_recipes.service.engines.local import LocalEngine
from batchai_recipes.service.scheduling.scheduler import Scheduler

PATIENCE_SECONDS = 60.0


@pytest.fixture
def new_scheduler(store, state, changes, shares, accounts):
    """Start schedulers over the same state directory, as restarted services have them."""
    started = []

    def start(**options):
        scheduler = Scheduler(
            store=store,
            clock=SystemClock(),
            changes=changes,
            engine=LocalEngine(state, **options),
            shares=shares,
            accounts=accounts,
        )
        scheduler.start()
        started.append(scheduler)
        return scheduler

    yield start
    for scheduler in started:
        scheduler.stop()


@pytest.fixture
def scheduler(new_scheduler):
    """A running scheduler."""
    return new_scheduler()


@pytest.fixture
def ended(rows, changes):
    """Wait for a job's end and return its row."""

    def wait(job):
        assert changes.wait_until(
            lambda: rows.job(job)["execution_state"] in {"succeeded", "failed"}, PATIENCE_SECONDS
        ), rows.job(job)
        return rows.job(job)

    return wait


def names_in(folder):
    """Return the names of a folder's entries, sorted."""
    return sorted(path.name for path in folder.iterdir())


def outputs_of(rows, share_folder, job):
    """Return the folder of a job in the share."""
    segment = json.loads(
        rows.one("SELECT properties FROM resources WHERE key = ?", job)["properties"]
    )
    return share_folder / segment["jobOutputDirectoryPathSegment"]


def test_a_python_script_trains_and_leaves_its_model_in_the_share(
    rows, scheduler, share_mount, share_folder, ended
):
    """The quickstart's way: script, data and model in a share, all named by variables."""
    folder = share_folder / "sample"
    folder.mkdir()
    (folder / "train.py").write_text(
        "import os, pathlib, sys\n"
        "data, model = map(pathlib.Path, sys.argv[1:])\n"
        "(model / 'model.bin').write_text((data / 'data.txt').read_text().upper())\n"
        "print(sys.executable, os.environ['AZ_BATCHAI_TASK_INDEX'], flush=True)\n"
    )
    (folder / "data.txt").write_text("weights")
    rows.add_cluster(**share_mount())
    job = rows.add_job(
        toolType="cntk",
        cntkSettings={
            "pythonScriptFilePath": "$AZ_BATCHAI_INPUT_SAMPLE/train.py",
            "commandLineArgs": "$AZ_BATCHAI_INPUT_SAMPLE $AZ_BATCHAI_OUTPUT_MODEL",
        },
        inputDirectories=[{"id": "SAMPLE", "path": "$AZ_BATCHAI_MOUNT_ROOT/share/sample"}],
        outputDirectories=[
            {"id": "MODEL", "pathPrefix": "$AZ_BATCHAI_MOUNT_ROOT/share", "pathSuffix": "Models"}
        ],
        containerSettings={"imageSourceRegistry": {"image": "microsoft/cntk:2.1"}},
    )
    scheduler.wake()
    assert (ended(job)["execution_state"], ended(job)["exit_code"]) == ("succeeded", 0)
    place = outputs_of(rows, share_folder, job)
    assert (place / "outputs" / "Models" / "model.bin").read_text() == "WEIGHTS"
    assert f"{sys.executable} 0\n" == (place / "stdouterr" / "stdout.txt").read_text()
    assert names_in(place / "stdouterr") == ["execution.log", "stderr.txt", "stdout.txt"]
    assert "directly on the host" in (place / "stdouterr" / "execution.log").read_text()


def test_a_job_that_requires_its_image_and_cannot_have_it_fails(
    rows, new_scheduler, share_mount, ended, monkeypatch
):
    """Its error names the image and the reason."""
    monkeypatch.setattr(containers, "_RUNTIMES", {"docker": (), "podman": ()})
    monkeypatch.setattr(containers.shutil, "which", lambda *_, **__: None)
    rows.add_cluster(**share_mount())
    job = rows.add_job(
        command="echo never", containerSettings={"imageSourceRegistry": {"image": "cntk:2.1"}}
    )
    scheduler = new_scheduler(containers="require")
    scheduler.wake()
    (error,) = ended(job)["errors"]
    assert error["code"] == "JobFailed"
    assert error["message"] == (
        "The job was not started: Container image cntk:2.1: there is no usable container runtime "
        "(docker is not installed; podman is not installed)"
    )


def test_a_job_runs_in_its_image(
    rows, new_scheduler, share_mount, share_folder, ended, scratch_image
):
    """With its volumes, directories, variables and what its preparation changed there."""
    rows.add_cluster(**share_mount())
    job = rows.add_job(
        command="cat /etc/prepared > $AZ_BATCHAI_OUTPUT_MODEL/model; ls /etc; echo $A",
        jobPreparation={"commandLine": "echo $AZ_BATCHAI_TASK_INDEX > /etc/prepared"},
        containerSettings={"imageSourceRegistry": {"image": scratch_image}},
        environmentVariables=[{"name": "A", "value": "a b"}],
        outputDirectories=[{"id": "MODEL", "pathPrefix": "$AZ_BATCHAI_MOUNT_ROOT/share"}],
    )
    new_scheduler(containers="require").wake()
    assert ended(job)["execution_state"] == "succeeded", ended(job)
    place = outputs_of(rows, share_folder, job)
    assert (place / "outputs" / "model").read_text() == "0\n"
    lines = (place / "stdouterr" / "stdout.txt").read_text().splitlines()
    assert {"inside", "prepared", "a b"} <= set(lines)


def test_failed_preparation_leaves_its_output(rows, scheduler, share_mount, share_folder, ended):
    """In files of its own, and the job itself never runs."""
    rows.add_cluster(**share_mount())
    job = rows.add_job(
        command="echo never", jobPreparation={"commandLine": "echo preparing; echo no >&2; exit 1"}
    )
    scheduler.wake()
    assert ended(job)["errors"][0]["code"] == "JobPreparationFailed"
    place = outputs_of(rows, share_folder, job) / "stdouterr"
    names = ["execution.log", "stderr-job_prep.txt", "stdout-job_prep.txt"]
    assert names == names_in(place)
    assert (place / "stderr-job_prep.txt").read_text() == "no\n"


def test_a_missing_script_is_explained(rows, scheduler, share_mount, ended):
    """With the interpreter's exit code and where its message is."""
    rows.add_cluster(**share_mount())
    script = {"pythonScriptFilePath": "$AZ_BATCHAI_MOUNT_ROOT/share/no.py"}
    job = rows.add_job(toolType="cntk", cntkSettings=script)
    interpreter = rows.add_job(
        "other", toolType="cntk", cntkSettings=script | {"pythonInterpreterPath": "/no/python"}
    )
    scheduler.wake()
    assert ended(job)["exit_code"] == 2
    assert ended(interpreter)["exit_code"] == 127
    assert "not found" in ended(interpreter)["errors"][0]["message"]


def test_jobs_outlive_their_scheduler(
    rows, new_scheduler, changes, share_mount, share_folder, ended, tmp_path
):
    """The next one sees the end of what the first one launched."""
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    rows.add_cluster(**share_mount())
    job = rows.add_job(command=f"echo begun >> $AZ_BATCHAI_MOUNT_ROOT/share/log; read x < {gate}")
    first = new_scheduler()
    with gate.open("w"):  # opens once the job reads
        first.stop()
    assert rows.job(job)["execution_state"] == "running"
    new_scheduler()
    assert ended(job)["execution_state"] == "failed"  # `read` got no line
    assert (share_folder / "log").read_text() == "begun\n"


def test_deleting_everything_leaves_the_share_alone(
    rows, scheduler, changes, state, share_mount, share_folder, tmp_path
):
    """Processes, node folders and job folders go; what the job wrote stays."""
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    cluster = rows.add_cluster(**share_mount())
    job = rows.add_job(command=f"echo kept > $AZ_BATCHAI_MOUNT_ROOT/share/kept; read x < {gate}")
    scheduler.wake()
    with gate.open("w"):
        group = "/subscriptions/s/resourcegroups/group"
        operation = rows.delete(group)
        scheduler.wake()
        assert changes.wait_until(lambda: not rows.exists(group), PATIENCE_SECONDS)
    assert rows.operation_status(operation) == "Succeeded"
    assert [rows.exists(key) for key in (cluster, job)] == [False, False]
    assert [*state.nodes.iterdir(), *state.jobs.iterdir()] == []
    assert (share_folder / "kept").read_text() == "kept\n"


def test_a_failed_setup_task_tells_the_end_of_its_stderr(rows, scheduler, changes, share_mount):
    """Without the task's secrets."""
    made = share_mount()
    made["setup"]["setupTask"] = {
        "commandLine": "echo cannot log in with $TOKEN >&2; exit 3",
        "stdOutErrPathPrefix": "$AZ_BATCHAI_MOUNT_ROOT/share",
    }
    made["secrets"]["setupTask"] = {"environment": {"TOKEN": "hunter2"}}
    cluster = rows.add_cluster(**made)
    scheduler.wake()
    assert changes.wait_until(lambda: bool(rows.cluster(cluster)["errors"]), PATIENCE_SECONDS)
    (error,) = rows.cluster(cluster)["errors"]
    details = {detail["name"]: detail["value"] for detail in error["details"]}
    assert details["stderr"] == "cannot log in with ***"
    assert "exit code 3" in error["message"]


def test_the_secrets_of_a_job_lie_in_no_file(
    rows, scheduler, state, share_mount, share_folder, ended
):
    """Apart from the records, neither while it ran (it looks itself) nor afterwards."""
    rows.add_cluster(**share_mount())
    look = 'grep -rl "$SECRET" $STATE/jobs $STATE/nodes $STATE/shares; echo looked $? ${#SECRET}'
    job = rows.add_job(
        command=look,
        secrets={"SECRET": "hunter2-hunter2"},
        environmentVariables=[{"name": "STATE", "value": str(state.root)}],
    )
    scheduler.wake()
    assert ended(job)["execution_state"] == "succeeded"
    output = outputs_of(rows, share_folder, job) / "stdouterr"
    assert (output / "stdout.txt").read_text() == "looked 1 15\n"
    scheduler.stop()  # so that no file vanishes under the search
    files = [path for path in Path(state.root).rglob("*") if path.is_file()]
    found = [path for path in files if b"hunter2-hunter2" in path.read_bytes()]
    assert {"state.db", "state.db-wal"} >= {path.name for path in found}

"""Tasks in containers: a real Podman with an image built from scratch, and none."""

import fcntl
import json
import os
import signal
import subprocess
from pathlib import Path

import attrs
import pytest

from batchai_recipes.service.engines.engine import Container, Ended, Lost, Mount, TaskKey
from batchai_recipes.service.engines.supervision.task_record import read_record

KEY = TaskKey("job", "uid", "process-0")
KEY0 = TaskKey("job", "uid", "preparation-0")
NAME = "batchai-uid-process-0"


@pytest.fixture(autouse=True)
def alone(tmp_path_factory):
    """One such test at a time: Podman has the containers of all processes that share the tests."""
    with Path(tmp_path_factory.getbasetemp().parent, "containers.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.fixture
def image(scratch_image):
    """The name of an image with a shell."""
    return scratch_image


def podman(*arguments):
    """Run Podman and return what it says."""
    done = subprocess.run(["podman", *arguments], capture_output=True, text=True, check=True)
    return done.stdout


def containers():
    """Return the names of the containers of these tests."""
    return podman("ps", "--all", "--filter", "name=batchai-uid", "--format", "{{.Names}}").split()


@pytest.fixture
def contained(new_task):
    """Make tasks that want a container: ``contained("command", "image", X="1")``."""

    def make(command, image, registry="", **options):
        task = new_task(command, **options)
        wanted = Container(image, command, dict(task.environment), registry=registry, shm_size="3m")
        return attrs.evolve(task, container=wanted, environment={})

    return make


def log_of(output):
    """Return the execution log."""
    return (output / "execution.log").read_text()


class TestInside:
    """With a runtime and the image."""

    def test_output_exit_code_variables_and_shared_memory(
        self, engine, contained, image, end_of, output
    ):
        """As on the host; a value may have several lines or steer the client."""
        given = {"SECRET": "two\nlines", "HOME": "/inside", "A": "$x 'y'"}
        command = "ls /etc; env; df -k /dev/shm | grep -c 3072; echo err >&2; exit 7"
        engine.launch(contained(command, image, **given))
        status = end_of(engine)
        assert (status.reason, status.exit_code) == ("exited", 7)
        lines = (output / "stdout.txt").read_text().splitlines()
        assert "inside" in lines
        assert {"SECRET=two", "lines", "HOME=/inside", "A=$x 'y'"} <= set(lines)
        assert lines[-1] == "1"
        assert "AZURE" not in "".join(lines)
        assert (output / "stderr.txt").read_text() == "err\n"
        assert f"container image {image}: running in {NAME}" in log_of(output)
        assert containers() == []

    def test_volumes_folders_and_working_directory(
        self, engine, contained, image, end_of, output, tmp_path
    ):
        """It sees them where the host has them, read-only ones read-only."""
        for name in ("data", "fixed"):
            (tmp_path / name).mkdir()
        mounts = (Mount("afs", tmp_path / "data"), Mount("ro", tmp_path / "fixed", read_only=True))
        engine.prepare_node("node", mounts)
        engine.prepare_job("uid", ("node",), mounts[:1])
        node, job = engine.node("node"), engine.job("uid", ("node",))
        command = (
            f"touch {node.mount_root}/afs/a {job.mount_root}/afs/b {job.shared_temp}/c d; "
            f"cat {job.mpi_host_file}; touch {node.mount_root}/ro/e || echo refused"
        )
        task = contained(command, image)
        engine.launch(attrs.evolve(task, working_directory=job.temp["node"]))
        assert end_of(engine).exit_code == 0
        assert sorted(path.name for path in (tmp_path / "data").iterdir()) == ["a", "b"]
        assert Path(job.shared_temp, "c").exists()
        assert Path(job.temp["node"], "d").exists()
        assert (output / "stdout.txt").read_text().splitlines()[-1] == "refused"

    def test_it_may_say_good_bye(self, engine, contained, image, end_of, output, fifo):
        """SIGTERM reaches the command, although it is not the container's first process."""
        path, line = fifo
        command = f"trap 'echo bye; exit 5' TERM; echo up > {path}; while :; do sleep 0.1; done"
        engine.launch(with_bind(contained(command, image), path))
        line()
        podman("wait", "--condition=running", NAME)  # before, Podman passes no signal on
        engine.terminate(KEY)
        status = end_of(engine)
        assert (status.reason, status.exit_code) == ("terminated", 5)
        assert (output / "stdout.txt").read_text() == "bye\n"
        assert containers() == []

    def test_one_that_has_hardly_begun_can_be_terminated(self, engine, contained, image, end_of):
        """Whatever step it is at."""
        engine.launch(contained("sleep 1000", image, grace_seconds=0.2))
        engine.terminate(KEY)
        assert end_of(engine).reason == "terminated"
        assert containers() == []

    def test_one_that_ignores_sigterm_is_killed(self, engine, contained, image, end_of, fifo):
        """With its container."""
        path, line = fifo
        command = f"trap '' TERM; echo up > {path}; while :; do sleep 1000; done"
        engine.launch(with_bind(contained(command, image, grace_seconds=0.2), path))
        line()
        engine.terminate(KEY)
        assert end_of(engine).reason == "terminated"
        assert containers() == []

    def test_a_lost_supervisor_leaves_no_container(
        self, state, engine, contained, image, end_of, fifo, processes
    ):
        """Neither its processes nor its remains."""
        path, line = fifo
        command = f"echo up > {path}; sleep 1000"
        engine.launch(with_bind(contained(command, image), path))
        line()
        inside = int(podman("inspect", "--format", "{{.State.Pid}}", NAME))
        record = read_record(str(state.jobs / "uid" / "process-0.record"))
        os.kill(record.supervisor["pid"], signal.SIGKILL)
        assert end_of(engine) == Lost()
        processes.wait_until_gone(inside)
        assert containers() == []

    def test_a_jobs_preparation_changes_what_its_tasks_find(
        self, engine, contained, image, end_of, bell, output
    ):
        """In its image on that node, until the job is released."""
        engine.prepare_job("uid", ("node",), ())
        task = contained("echo prepared > /etc/note", image)
        wanted = attrs.evolve(task.container, keeps_changes=True)
        preparation = attrs.evolve(task, key=KEY0, container=wanted)
        engine.launch(preparation)
        assert end_of(engine).exit_code == 0
        assert containers() == []
        engine.launch(contained("cat /etc/note", image))
        assert bell.wait_for(lambda: isinstance(engine.tasks("job", "uid").get(KEY.name), Ended))
        assert (output / "stdout.txt").read_text() == "prepared\n"
        assert "localhost/batchai-uid-preparation-0" in podman("images")
        engine.release_job("uid")
        engine.stop()
        assert "localhost/batchai-uid-preparation-0" not in podman("images")

    def test_one_that_runs_out_of_memory(self, new_engine, contained, image, end_of):
        """The kernel kills it, and the message says why."""
        engine = new_engine(memory_limit_bytes=32 << 20)
        engine.launch(contained("head -c 100000000 /dev/zero | tail", image))
        status = end_of(engine)
        assert (status.reason, status.exit_code) == ("exited", 137)
        assert status.message == "it was killed, since it needed more memory than a task may have"

    def test_no_secret_is_on_a_command_line(
        self, state, engine, contained, image, end_of, fifo, all_text_below
    ):
        """Nor in a file of the service."""
        path, line = fifo
        task = contained(f"echo up > {path}; sleep 1000", image, TOKEN="hunter2-hunter2")
        engine.launch(with_bind(task, path))
        line()
        lines = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True)
        assert "sleep 1000" in lines.stdout
        assert "hunter2-hunter2" not in lines.stdout + all_text_below(state.root)
        engine.terminate(KEY)
        end_of(engine)


def with_bind(task, path):
    """Let a task see one more path."""
    return attrs.evolve(task, directories=(*task.directories, str(path.parent)))


class TestOutside:
    """Without the image, or without a runtime."""

    def test_an_image_that_is_not_here(self, new_engine, contained, image, end_of, output):
        """Is not looked for all over the world: the task runs on the host and says so."""
        engine = new_engine(containers="auto")
        engine.launch(contained("echo here", "microsoft/cntk:2.1"))
        assert end_of(engine).exit_code == 0
        assert (output / "stdout.txt").read_text() == "here\n"
        assert "the image is not on this machine (get it with `podman pull micro" in log_of(output)
        assert "directly on the host" in log_of(output)

    @pytest.mark.parametrize("policy", ["auto", "require"])
    def test_a_registry_that_does_not_answer(
        self, new_engine, contained, image, end_of, output, policy
    ):
        """Fails a job that requires the image; another runs on the host."""
        engine = new_engine(containers=policy)
        engine.launch(contained("echo here", "cntk:2.1", registry="http://127.0.0.1:9"))
        status = end_of(engine)
        told = "127.0.0.1:9/cntk:2.1 cannot be pulled: "
        if policy == "auto":
            assert status.exit_code == 0
            assert told in log_of(output)
        else:
            assert status.reason == "not started"
            assert status.message.startswith(f"Container image cntk:2.1: {told}")

    @pytest.mark.parametrize("policy", ["auto", "never", "require"])
    def test_no_runtime(self, new_engine, contained, end_of, output, monkeypatch, policy):
        """Each policy in its own way."""
        monkeypatch.setattr("batchai_recipes.service.engines.containers._RUNTIMES", {})
        engine = new_engine(containers=policy)
        engine.launch(contained("echo here", "cntk:2.1"))
        status = end_of(engine)
        assert isinstance(status, Ended)
        if policy == "require":
            assert "there is no usable container runtime" in status.message
            assert not (output / "stdout.txt").exists()
        else:
            assert status.exit_code == 0
            reason = "--containers never" if policy == "never" else "no usable container runtime"
            assert reason in log_of(output)


FAKE = """#!/bin/sh
case "$*" in
  "info "*) exit 0 ;;
  "run "*) echo ran; exit 0 ;;
  *"image inspect"*) exit 1 ;;
  *pull*)
    echo "$@" > {folder}/arguments
    while [ "$1" != --authfile ]; do shift; done
    cat "$2" > {folder}/login
    echo up > {folder}/pulling
    [ ! -e {folder}/slow ] || exec sleep 1000
    exit 0 ;;
esac
"""


class TestPull:
    """Getting an image, from a runtime that only pretends."""

    @pytest.fixture
    def fake(self, tmp_path, monkeypatch):
        """The folder where a Podman that pretends leaves what it was told."""
        folder = tmp_path / "fake"
        folder.mkdir()
        (folder / "podman").write_text(FAKE.format(folder=folder))
        (folder / "podman").chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
        monkeypatch.setattr(
            "batchai_recipes.service.engines.containers._RUNTIMES", {"podman": ("info", "x")}
        )
        return folder

    def test_credentials_go_in_by_a_private_file(
        self, state, new_engine, contained, end_of, output, fake, all_text_below
    ):
        """Which is gone afterwards."""
        os.mkfifo(fake / "pulling")
        task = contained("true", "a:1", registry="https://r.io")
        wanted = attrs.evolve(task.container, username="me", password="hunter2")
        engine = new_engine(containers="require")
        engine.launch(attrs.evolve(task, container=wanted))
        assert (fake / "pulling").read_text() == "up\n"
        assert end_of(engine).exit_code == 0
        assert (output / "stdout.txt").read_text() == "ran\n"
        assert json.loads((fake / "login").read_text()) == {
            "auths": {"r.io": {"auth": "bWU6aHVudGVyMg=="}}
        }
        assert "hunter2" not in (fake / "arguments").read_text()
        assert "bWU6aHVudGVyMg" not in all_text_below(state.root)

    def test_a_pull_can_be_terminated(self, new_engine, contained, end_of, output, fake):
        """The task never runs."""
        os.mkfifo(fake / "pulling")
        (fake / "slow").touch()
        task = contained("true", "a:1", registry="https://r.io")
        wanted = attrs.evolve(task.container, username="me", password="hunter2")
        engine = new_engine(containers="auto")
        engine.launch(attrs.evolve(task, container=wanted))
        assert (fake / "pulling").read_text() == "up\n"
        engine.terminate(KEY)
        assert end_of(engine).reason == "terminated"
        assert not (output / "stdout.txt").exists()

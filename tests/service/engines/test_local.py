"""The local engine with real processes."""

import fcntl
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import attrs
import pytest

from batchai_recipes.service.engines.engine import (
    Ended,
    EngineError,
    Lost,
    Mount,
    TaskKey,
)
from batchai_recipes.service.engines.local import LocalEngine
from batchai_recipes.service.engines.supervision.processes import process_identity
from batchai_recipes.service.engines.supervision.task_record import read_record
from batchai_recipes.service.state_directory import StateDirectory

KEY = TaskKey("job", "uid", "process-0")


class TestTasks:
    """One command line, from launch to end."""

    def test_the_environment_is_the_tasks_and_what_is_safe_of_the_services(
        self, state, bell, new_task, end_of, output
    ):
        """No variable of the service that might be secret gets through."""
        engine = LocalEngine(
            state,
            {
                "PATH": os.environ["PATH"],
                "HOME": "/root",
                "CUDA_VISIBLE_DEVICES": "",
                "AZURE_CLIENT_SECRET": "s",
                "BATCHAI_X": "s",
                "PYTHONPATH": "s",
            },
        )
        engine.start(bell.ring)
        engine.launch(new_task("exec env -0", X="1"))
        end_of(engine)
        engine.stop()
        entries = (output / "stdout.txt").read_text().split("\0")[:-1]
        found = dict(entry.split("=", 1) for entry in entries)
        expected = {
            "PATH": os.environ["PATH"],
            "HOME": "/root",
            "CUDA_VISIBLE_DEVICES": "",
            "X": "1",
        }
        if os.geteuid() == 0:  # else Open MPI's mpirun would refuse to run
            expected |= dict.fromkeys(
                ("OMPI_ALLOW_RUN_AS_ROOT", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM"), "1"
            )
        shell = {"PWD", "OLDPWD", "SHLVL", "_"}
        assert expected == {name: value for name, value in found.items() if name not in shell}

    def test_a_launch_that_fails_leaves_nothing(
        self, state, engine, new_task, monkeypatch, all_text_below
    ):
        """When no process can be started, the task may be launched again and no secret is kept."""
        monkeypatch.setattr(sys, "executable", "/nothing/here")
        with pytest.raises(EngineError, match="No such file"):
            engine.launch(new_task("true", SECRET="hunter2"))
        assert "hunter2" not in all_text_below(state.root)
        assert engine.tasks("job", "uid") == {}

    def test_a_claim_that_cannot_be_recorded(self, engine, new_task, end_of, output):
        """The task ends as not started and says why; nothing of it ever runs."""
        task = new_task("echo never")
        long_name = TaskKey("job", "uid", "x" * 300)
        engine.launch(attrs.evolve(task, key=long_name))
        status = end_of(engine)
        assert status.reason == "not started"
        assert "File name too long" in status.message
        assert not (output / "stdout.txt").exists()

    def test_the_parent_of_supervisors_may_be_killed(self, engine, new_task, bell, output):
        """A task that it swallowed counts as not started; launched again, it runs, once."""
        engine.prepare_node("node", ())
        engine._supervisors._parent.kill()

        def launched_and_ended():
            engine.launch(new_task("echo here"))
            return any(isinstance(s, Ended) for s in engine.tasks("job", "uid").values())

        assert bell.wait_for(launched_and_ended)
        assert (output / "stdout.txt").read_text() == "here\n"

    def test_a_second_supervisor_gives_way(self, state, engine, new_task, end_of, output):
        """When two services launch the same task at once, the claim decides."""
        task = new_task("echo once")
        engine.launch(task)
        end_of(engine)
        again = LocalEngine(state)
        try:
            with again._supervisors.start(again._request(task)) as connection:
                assert json.loads(connection.recv(1000)) == {"outcome": "already claimed"}
        finally:
            again.stop()
        assert (output / "stdout.txt").read_text() == "once\n"


class TestRecords:
    """What a new engine makes of the records that it finds."""

    def test_a_restart_of_the_machine_loses_what_ran(self, state, engine, new_task, end_of):
        """Even where another process has the supervisor's id by now; it is left alone."""
        with subprocess.Popen(["sleep", "1000"], start_new_session=True) as bystander:
            identity = process_identity(bystander.pid) | {"boot_id": "an earlier one"}
            (state.jobs / "uid").mkdir()
            path = state.jobs / "uid" / "process-0.record"
            lines = [json.dumps({name: identity}) for name in ("supervisor", "main")]
            path.write_text("".join(f"{line}\n" for line in lines))
            with path.open() as locked:  # as by a process that has nothing to do with it
                fcntl.flock(locked, fcntl.LOCK_EX)
                assert {"process-0": Lost()} == engine.tasks("job", "uid")
                engine.terminate(KEY)
            bystander.kill()
            assert bystander.wait() == -signal.SIGKILL  # and nothing else before

    @pytest.mark.parametrize("outlived", [True, False])
    def test_only_the_claim_of_what_outlives_its_engine_is_made_durable(
        self, state, new_task, outlived
    ):
        """Nobody looks for the others after a power cut, so they do not wait for the disk."""
        engine = LocalEngine(state, outlived=outlived)
        assert engine._request(new_task("true"))["durable"] is outlived

    def test_a_record_cut_off_by_a_power_cut_is_a_lost_task(self, state, engine):
        """Whatever is left of it: it was claimed, so it is never run again."""
        for text in ("", "{", '{"supervisor": {"pid": 1'):
            folder = state.jobs / f"uid-{len(text)}"
            folder.mkdir()
            (folder / "process-0.record").write_text(text)
            assert {"process-0": Lost()} == engine.tasks("job", folder.name)


def test_no_control_group_outlives_a_killed_service(state, killed_service, gate, processes):
    """The last of its tasks removes what the service made."""
    killed_service(f"read x < {gate}")
    record = read_record(str(state.jobs / "uid" / "process-0.record"))
    if not record.main["cgroup"]:
        pytest.skip("no control groups can be made here")
    gate.write_text("\n")
    processes.wait_until_gone(record.supervisor["pid"])
    assert not Path(record.main["cgroup"]).parent.exists()


class TestFolders:
    """Nodes and jobs as folders with links in them."""

    @pytest.fixture
    def share(self, tmp_path):
        """A share with a file."""
        folder = tmp_path / "share"
        folder.mkdir()
        (folder / "data.txt").write_text("data")
        return folder

    def test_releasing_never_touches_the_volumes(self, state, engine, share):
        """Not of a node, nor of a job, nor through links that a job left."""
        engine.prepare_node("node", (Mount("afs", share),))
        engine.prepare_job("uid", ("node",), (Mount("afs", share),))
        temp = Path(engine.job("uid", ("node",)).temp["node"])
        (temp / "link").symlink_to(share)
        locked = temp / "locked"
        locked.mkdir()
        (locked / "file").write_text("x")
        locked.chmod(0)
        for _ in range(2):
            engine.release_node("node")
            engine.release_job("uid")
        assert [*state.nodes.iterdir(), *state.jobs.iterdir()] == []
        engine.stop()
        assert [*state.released.iterdir()] == []
        assert (share / "data.txt").read_text() == "data"

    def test_a_job_has_a_host_file(self, engine):
        """All nodes are one machine to MPI, which refuses a machine that is listed twice."""
        engine.prepare_job("uid", ("a", "b"), ())
        folders = engine.job("uid", ("a", "b"))
        assert Path(folders.mpi_host_file).read_text() == "127.0.0.1 slots=2\n"

    def test_an_engine_needs_no_more_than_its_state_directory(self, tmp_path):
        """It may be stopped without having been started."""
        engine = LocalEngine(StateDirectory(tmp_path))
        engine.stop()
        assert engine.tasks("job", "uid") == {}

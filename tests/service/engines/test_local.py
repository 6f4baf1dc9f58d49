"""The local engine with real processes."""

import fcntl
import json
import os
import select
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
    MountError,
    Running,
    TaskKey,
)
from batchai_recipes.service.engines.local import LocalEngine
from batchai_recipes.service.engines.supervision.processes import process_identity
from batchai_recipes.service.engines.supervision.task_record import read_record
from batchai_recipes.service.state_directory import StateDirectory

KEY = TaskKey("job", "uid", "process-0")


def all_text_below(folder):
    """Return the content of every file below a folder."""
    return "".join(path.read_text(errors="replace") for path in folder.rglob("*") if path.is_file())


@pytest.fixture
def fifo(tmp_path):
    """A FIFO that tasks write to, so that tests wait for them without sleeping."""
    path = tmp_path / "fifo"
    os.mkfifo(path)
    descriptor = os.open(path, os.O_RDWR)
    yield path, lambda: wait_for_line(descriptor)
    os.close(descriptor)


@pytest.fixture
def gate(tmp_path):
    """A FIFO that tasks read from, until the test writes to it."""
    path = tmp_path / "gate"
    os.mkfifo(path)
    return path


def wait_for_line(descriptor):
    """Wait for what a task writes to a FIFO and return it."""
    ready, _, _ = select.select([descriptor], [], [], 30)
    assert ready, "the task wrote nothing"
    return os.read(descriptor, 4096).decode()


def is_gone(pid):
    """Tell whether a process is gone; a zombie is."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return True
    return stat.rpartition(")")[2].split()[0] == "Z"


class TestTasks:
    """One command line, from launch to end."""

    def test_a_task_that_succeeds(self, engine, new_task, end_of, output):
        """Its output is exact, and its log tells the story."""
        engine.launch(new_task('echo "out $X"; echo err >&2; pwd', X="a b"))
        status = end_of(engine)
        assert (status.reason, status.exit_code) == ("exited", 0)
        assert f"out a b\n{output}\n" == (output / "stdout.txt").read_text()
        assert (output / "stderr.txt").read_text() == "err\n"
        assert (output / "models").is_dir()
        lines = [
            line.split(" ", 1)[1] for line in (output / "execution.log").read_text().splitlines()
        ]
        assert lines == [
            "a note",
            'job: starting: echo "out $X"; echo err >&2; pwd',
            "job: ended with exit code 0",
        ]

    @pytest.mark.parametrize(
        ("command", "exit_code"), [("exit 3", 3), ("exec nothing-here", 127), ("kill -9 $$", 137)]
    )
    def test_a_task_that_fails(self, engine, new_task, end_of, command, exit_code):
        """Its exit code is what a shell reports."""
        engine.launch(new_task(command))
        status = end_of(engine)
        assert ("exited", exit_code) == (status.reason, status.exit_code)

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

    def test_no_file_holds_a_secret_once_the_task_runs(
        self, state, engine, new_task, end_of, output, fifo
    ):
        """The task file is gone by then, and nothing else ever had it."""
        path, line = fifo
        engine.launch(new_task(f"echo up > {path}; exec sleep 1000", SECRET="hunter2"))
        line()
        assert "hunter2" not in all_text_below(state.root) + all_text_below(output)
        engine.terminate(KEY)
        end_of(engine)
        assert "hunter2" not in all_text_below(state.root) + all_text_below(output)

    def test_a_launch_that_fails_leaves_nothing(self, state, engine, new_task, monkeypatch):
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

    def test_a_task_is_launched_once(self, engine, new_task, end_of, output):
        """Launching it again changes nothing, not even when it has ended."""
        for _ in range(2):
            engine.launch(new_task("echo once"))
        end_of(engine)
        engine.launch(new_task("echo once"))
        assert (output / "stdout.txt").read_text() == "once\n"

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

    def test_an_output_file_that_cannot_be_opened(self, engine, new_task, end_of, output):
        """The task ends as not started, and its status says what is in the way."""
        (output / "stdout.txt").mkdir(parents=True)
        engine.launch(new_task("true"))
        status = end_of(engine)
        assert (status.reason, status.exit_code) == ("not started", None)
        assert "stdout.txt" in status.message

    def test_a_directory_that_cannot_be_made(self, engine, new_task, output):
        """The launch fails and names it."""
        output.write_text("a file")
        with pytest.raises(EngineError, match="models cannot be made"):
            engine.launch(new_task("true"))


class TestTermination:
    """SIGTERM, SIGKILL, and nothing left behind."""

    def test_a_task_may_say_good_bye(self, engine, new_task, end_of, output, fifo):
        """SIGTERM comes first, and its exit code counts."""
        path, line = fifo
        engine.launch(
            new_task(
                f"trap 'echo bye; exit 5' TERM; echo up > {path}; while :; do sleep 0.01; done"
            )
        )
        line()
        engine.terminate(KEY)
        status = end_of(engine)
        assert (status.reason, status.exit_code) == ("terminated", 5)
        assert (output / "stdout.txt").read_text() == "bye\n"

    def test_a_task_may_be_terminated_before_it_has_begun(self, engine, new_task, end_of):
        """As soon as its supervisor is there."""
        engine.launch(new_task("exec sleep 1000"))
        engine.terminate(KEY)
        assert end_of(engine).reason == "terminated"

    def test_a_task_that_ignores_sigterm_is_killed(self, engine, new_task, end_of, fifo):
        """After its grace."""
        path, line = fifo
        engine.launch(
            new_task(
                f"trap '' TERM; echo up > {path}; while :; do sleep 1000; done", grace_seconds=0.2
            )
        )
        line()
        engine.terminate(KEY)
        engine.terminate(KEY)
        status = end_of(engine)
        assert (status.reason, status.exit_code) == ("terminated", 137)

    def test_a_task_out_of_time_is_terminated(self, engine, new_task, end_of):
        """Its status says so."""
        engine.launch(new_task("exec sleep 1000", time_limit_seconds=0.2))
        status = end_of(engine)
        assert (status.reason, status.exit_code) == ("time limit", 143)

    def test_a_daemon_does_not_outlive_its_task(self, engine, new_task, end_of, fifo, gate):
        """Even one with a session of its own whose parent is gone, and its children."""
        path, line = fifo
        daemon = f"sleep 1000 & echo $$ $! > {path}; wait"
        engine.launch(new_task(f"(setsid sh -c '{daemon}' &) ; read x < {gate}"))
        pids = [int(pid) for pid in line().split()]
        assert [is_gone(pid) for pid in pids] == [False, False]
        gate.write_text("\n")
        assert end_of(engine).exit_code == 0
        assert [is_gone(pid) for pid in pids] == [True, True]

    def test_a_lost_supervisor_takes_its_task_with_it(self, state, engine, new_task, end_of, fifo):
        """Killed outright: the task is lost, and nothing of its session runs on."""
        path, line = fifo
        engine.launch(new_task(f"sleep 1000 & echo $$ $! > {path}; wait"))
        pids = [int(pid) for pid in line().split()]
        record = read_record(str(state.jobs / "uid" / "process-0.record"))
        os.kill(record.supervisor["pid"], signal.SIGKILL)
        wait_until_gone(pids[0])  # at once, whether or not a service runs
        assert end_of(engine) == Lost()
        wait_until_gone(pids[1])  # as soon as a service notices
        assert [is_gone(pid) for pid in pids] == [True, True]


def wait_until_gone(pid):
    """Wait for the end of a process that is no child of this one."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    ready, _, _ = select.select([handle], [], [], 30)
    os.close(handle)
    assert ready, "the process runs on"


SERVICE = """
import os, signal, sys
from pathlib import Path
from batchai_recipes.service.engines.engine import Task, TaskKey
from batchai_recipes.service.engines.local import LocalEngine
from batchai_recipes.service.engines.supervision.processes import process_identity
from batchai_recipes.service.engines.supervision.task_record import read_record
from batchai_recipes.service.state_directory import StateDirectory
state, output, command = sys.argv[1:]
engine = LocalEngine(StateDirectory(Path(state)))
engine.start(lambda *_: None)
engine.launch(
    Task(
        key=TaskKey("job", "uid", "process-0"), node_id="node", label="job", command_line=command,
        environment={"SECRET": "hunter2"}, working_directory=output, directories=(output,),
        stdout=output + "/stdout.txt", stderr=output + "/stderr.txt", log=output + "/execution.log",
    )
)
while read_record(state + "/jobs/uid/process-0.record") is None:
    os.sched_yield()  # until the supervisor is there, the task has not been started
os.kill(os.getpid(), signal.SIGKILL)
"""


class TestAdoption:
    """Tasks outlive the service that launched them."""

    def killed_service(self, state, output, command):
        """Let a service launch a task and die at once, without any chance to clean up."""
        done = subprocess.run(
            [sys.executable, "-c", SERVICE, str(state.root), str(output), command],
            check=False,
            timeout=60,
        )
        assert done.returncode == -signal.SIGKILL

    def test_a_running_task_is_adopted(self, state, engine, end_of, output, gate):
        """A new engine sees it run, sees it end, and knows its exit code."""
        self.killed_service(state, output, f"echo begun; read x < {gate}; echo $x; exit 4")
        assert {"process-0": Running()} == engine.tasks("job", "uid")
        gate.write_text("ended\n")
        status = end_of(engine)
        assert (status.reason, status.exit_code) == ("exited", 4)
        assert (output / "stdout.txt").read_text() == "begun\nended\n"

    def test_a_running_task_of_a_dead_service_can_be_terminated(
        self, state, engine, end_of, output, fifo
    ):
        """As any other."""
        path, line = fifo
        self.killed_service(state, output, f"echo up > {path}; exec sleep 1000")
        line()
        engine.terminate(KEY)
        assert end_of(engine).reason == "terminated"

    def test_an_end_in_the_meantime_is_learnt(self, state, output, bell, end_of, fifo):
        """The supervisor left word."""
        path, line = fifo
        self.killed_service(state, output, f"echo up > {path}; exit 6")
        line()
        engine = LocalEngine(state)
        engine.start(bell.ring)
        try:
            assert end_of(engine).exit_code == 6
        finally:
            engine.stop()

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

    def test_a_record_cut_off_by_a_power_cut_is_a_lost_task(self, state, engine):
        """Whatever is left of it: it was claimed, so it is never run again."""
        for text in ("", "{", '{"supervisor": {"pid": 1'):
            folder = state.jobs / f"uid-{len(text)}"
            folder.mkdir()
            (folder / "process-0.record").write_text(text)
            assert {"process-0": Lost()} == engine.tasks("job", folder.name)


class TestFolders:
    """Nodes and jobs as folders with links in them."""

    @pytest.fixture
    def share(self, tmp_path):
        """A share with a file."""
        folder = tmp_path / "share"
        folder.mkdir()
        (folder / "data.txt").write_text("data")
        return folder

    def test_a_node_has_its_volumes(self, engine, share):
        """Preparing it twice is preparing it once."""
        for _ in range(2):
            engine.prepare_node("node", (Mount("deep/afs", share),))
        root = Path(engine.node("node").mount_root)
        assert (root / "deep" / "afs" / "data.txt").read_text() == "data"

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

    def test_a_vanished_share_cannot_be_mounted(self, engine, tmp_path):
        """The error says what to do."""
        with pytest.raises(MountError, match="scale the cluster down and up"):
            engine.prepare_node("node", (Mount("afs", tmp_path / "nothing"),))

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

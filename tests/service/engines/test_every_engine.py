"""What every engine does with real processes.

These tests know nothing of an engine but its interface; which engines they run against says
``ENGINES`` in ``conftest.py``.
"""

from pathlib import Path

import pytest

from batchai_recipes.service.engines.engine import EngineError, Mount, MountError, Running, TaskKey
from batchai_recipes.service.engines.file_end import FileEnd

KEY = TaskKey("job", "uid", "process-0")


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

    def test_no_file_holds_a_secret_once_the_task_runs(
        self, state, engine, new_task, end_of, output, fifo, all_text_below
    ):
        """The task file is gone by then, and nothing else ever had it."""
        path, line = fifo
        engine.launch(new_task(f"echo up > {path}; exec sleep 1000", SECRET="hunter2"))
        line()
        assert "hunter2" not in all_text_below(state.root) + all_text_below(output)
        engine.terminate(KEY)
        end_of(engine)
        assert "hunter2" not in all_text_below(state.root) + all_text_below(output)

    def test_a_task_is_launched_once(self, engine, new_task, end_of, output):
        """Launching it again changes nothing, not even when it has ended."""
        for _ in range(2):
            engine.launch(new_task("echo once"))
        end_of(engine)
        engine.launch(new_task("echo once"))
        assert (output / "stdout.txt").read_text() == "once\n"

    def test_an_output_file_that_cannot_be_opened(self, engine, new_task, end_of, output):
        """The task ends as not started, and its status says what is in the way."""
        (output / "stdout.txt").mkdir(parents=True)
        engine.launch(new_task("true"))
        status = end_of(engine)
        assert (status.reason, status.exit_code) == ("not started", None)
        assert "stdout.txt" in status.message

    def test_a_directory_that_cannot_be_made(self, engine, new_task, output, bell):
        """The launch fails and names it, or the next one does, where the node had to be asked."""
        output.write_text("a file")

        def launch_until_refused():
            engine.launch(new_task("true"))
            assert bell.wait_for(lambda: not engine.tasks("job", "uid"))
            engine.launch(new_task("true"))

        with pytest.raises(EngineError, match="models cannot be made"):
            launch_until_refused()

    def test_the_end_of_what_a_task_wrote(self, engine, new_task, end_of, output, answer_of):
        """Is read where the task ran; there is none of what is no file."""
        engine.launch(new_task("echo one; echo two; mkfifo fifo"))
        end_of(engine)

        def end(name, most_bytes):
            return answer_of(lambda: engine.end_of_file("node", str(output / name), most_bytes))

        assert end("stdout.txt", 8) == FileEnd(b"one\ntwo\n", is_all=True)
        assert end("stdout.txt", 4) == FileEnd(b"two\n", is_all=False)
        for name in ("fifo", "models", "nothing"):
            assert end(name, 8) == FileEnd()


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

    def test_a_daemon_does_not_outlive_its_task(
        self, engine, new_task, end_of, fifo, gate, processes
    ):
        """Even one with a session of its own whose parent is gone, and its children."""
        path, line = fifo
        daemon = f"sleep 1000 & echo $$ $! > {path}; wait"
        engine.launch(new_task(f"(setsid sh -c '{daemon}' &) ; read x < {gate}"))
        pids = [int(pid) for pid in line().split()]
        assert [processes.is_gone(pid) for pid in pids] == [False, False]
        gate.write_text("\n")
        assert end_of(engine).exit_code == 0
        assert [processes.is_gone(pid) for pid in pids] == [True, True]


class TestAdoption:
    """Tasks outlive the service that launched them."""

    def test_a_running_task_is_adopted(self, engine, killed_service, end_of, output, gate):
        """A new engine sees it run, sees it end, and knows its exit code."""
        killed_service(f"echo begun; read x < {gate}; echo $x; exit 4")
        assert {"process-0": Running()} == engine.tasks("job", "uid")
        gate.write_text("ended\n")
        status = end_of(engine)
        assert (status.reason, status.exit_code) == ("exited", 4)
        assert (output / "stdout.txt").read_text() == "begun\nended\n"

    def test_a_running_task_of_a_dead_service_can_be_terminated(
        self, engine, killed_service, end_of, fifo
    ):
        """As any other."""
        path, line = fifo
        killed_service(f"echo up > {path}; exec sleep 1000")
        line()
        engine.terminate(KEY)
        assert end_of(engine).reason == "terminated"

    def test_an_end_in_the_meantime_is_learnt(self, new_engine, killed_service, end_of, fifo):
        """The supervisor left word."""
        path, line = fifo
        killed_service(f"echo up > {path}; exit 6")
        line()
        assert end_of(new_engine()).exit_code == 6


class TestFolders:
    """Nodes and jobs with their volumes."""

    @pytest.fixture
    def share(self, tmp_path):
        """A share with a file."""
        folder = tmp_path / "share"
        folder.mkdir()
        (folder / "data.txt").write_text("data")
        return folder

    def test_a_node_has_its_volumes(self, engine, share, prepare):
        """Preparing it twice is preparing it once."""
        for _ in range(2):
            prepare(engine, Mount("deep/afs", share))
        root = Path(engine.node("node").mount_root)
        assert (root / "deep" / "afs" / "data.txt").read_text() == "data"

    def test_a_vanished_share_cannot_be_mounted(self, engine, tmp_path):
        """The error says what to do."""
        with pytest.raises(MountError, match="scale the cluster down and up"):
            engine.prepare_node("node", (Mount("afs", tmp_path / "nothing"),))

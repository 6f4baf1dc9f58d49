"""What users and machines do to tasks, with real processes: the right state, and nothing left."""

import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

from batchai_recipes.service.engines import local
from batchai_recipes.service.engines.engine import Lost, TaskKey
from batchai_recipes.service.engines.local import LocalEngine
from batchai_recipes.service.engines.supervision.cgroups import own_directory
from batchai_recipes.service.engines.supervision.shortage import is_full
from batchai_recipes.service.engines.supervision.task_record import read_record

KEY = TaskKey("job", "uid", "process-0")
MEBIBYTE = 1 << 20


@pytest.fixture
def supervisor_of(state):
    """Return the process id of the supervisor of the only task."""

    def find():
        return read_record(str(state.jobs / "uid" / "process-0.record")).supervisor["pid"]

    return find


class TestKilled:
    """SIGKILL from outside, with control groups and where there are none."""

    @pytest.fixture(autouse=True, params=["groups", "no groups"])
    def groups(self, request, monkeypatch):
        """Let the engine find no control group of its own."""
        if request.param == "no groups":
            monkeypatch.setattr(local, "own_directory", lambda: None)

    def test_a_process_tree_without_its_supervisor(self, engine, a_family, end_of, processes):
        """Ends the task as killed, and says by whom it was not."""
        task, pids = a_family
        engine.launch(task)
        family = pids()
        for pid in family:
            os.kill(pid, signal.SIGKILL)
        status = end_of(engine)
        assert (status.reason, status.exit_code) == ("exited", 137)
        assert status.message == "it was killed by SIGKILL, which this service did not send"
        assert all(processes.is_gone(pid) for pid in family)

    def test_the_main_process_alone(self, engine, a_family, end_of, processes):
        """The rest goes with it, daemons too."""
        task, pids = a_family
        engine.launch(task)
        family = pids()
        os.kill(family[0], signal.SIGKILL)
        assert end_of(engine).exit_code == 137
        assert all(processes.is_gone(pid) for pid in family)

    def test_the_supervisor(self, engine, a_family, supervisor_of, end_of, processes):
        """The task is lost, and nothing of it runs on, the daemon neither."""
        task, pids = a_family
        engine.launch(task)
        family = pids()
        os.kill(supervisor_of(), signal.SIGKILL)
        for pid in family:
            processes.wait_until_gone(pid)
        assert end_of(engine) == Lost()

    def test_the_supervisor_while_no_service_runs(
        self, new_engine, a_family, supervisor_of, end_of, processes
    ):
        """Its main process goes at once, the rest as soon as a service looks."""
        task, pids = a_family
        first = new_engine()
        first.launch(task)
        family = pids()
        supervisor = supervisor_of()
        first.stop()
        os.kill(supervisor, signal.SIGKILL)
        processes.wait_until_gone(family[0])
        assert end_of(new_engine()) == Lost()
        found = read_record(str(first._state.jobs / "uid" / "process-0.record"))
        held = family if found.main["cgroup"] else family[:2]  # else a daemon is out of reach
        for pid in held:
            processes.wait_until_gone(pid)
        for pid in set(family) - set(held):
            os.kill(pid, signal.SIGKILL)

    def test_everything_at_once(self, engine, a_family, supervisor_of, end_of, processes):
        """As a careless `killall -9` does."""
        task, pids = a_family
        engine.launch(task)
        family = pids()
        for pid in [supervisor_of(), *family]:
            with suppress(ProcessLookupError):  # the task's end may have ended it already
                os.kill(pid, signal.SIGKILL)
        assert end_of(engine) == Lost()
        for pid in family:
            processes.wait_until_gone(pid)


class TestMemory:
    """Out of memory."""

    HUNGRY = "exec python3 -c 'x = bytearray(256 << 20); print(len(x))'"

    def test_a_limit_that_only_processes_have(self, new_engine, new_task, end_of, output, state):
        """The allocation fails, in the task's own words, where no group can be limited."""
        engine = new_engine(memory_limit_bytes=128 * MEBIBYTE)
        engine._cgroup = None
        engine.launch(new_task(self.HUNGRY))
        status = end_of(engine)
        assert (status.reason, status.exit_code) == ("exited", 1)
        assert "MemoryError" in (output / "stderr.txt").read_text()

    def test_a_limit_of_its_control_group(self, new_engine, new_task, end_of):
        """The kernel kills it all, and the message says why."""
        own = own_directory()
        if own is None or "memory" not in Path(own, "cgroup.controllers").read_text().split():
            pytest.skip("no control group of version 2 controls memory here")
        engine = new_engine(memory_limit_bytes=64 * MEBIBYTE)
        if engine._cgroup is None or not engine._cgroup.limit_memory(1 << 40):
            pytest.skip("control groups with a limit may not be made here")
        engine.launch(new_task(self.HUNGRY))
        status = end_of(engine)
        assert status.exit_code == 137
        assert status.message == "it was killed, since it needed more memory than a task may have"

    def test_a_machine_that_runs_out(self, engine, new_task, end_of):
        """The kernel kills the task first, and the message says why."""
        group = Path("/sys/fs/cgroup/memory/batchai-recipes-test")  # a machine within the machine
        try:
            group.mkdir()
            (group / "memory.limit_in_bytes").write_text(str(64 * MEBIBYTE))
        except OSError:
            pytest.skip("no group of processes can be limited here")
        try:
            engine.launch(new_task(f"echo $$ > {group}/cgroup.procs; {self.HUNGRY}"))
            status = end_of(engine)
        finally:
            group.rmdir()
        assert (status.reason, status.exit_code) == ("exited", 137)
        assert status.message == "it was killed, as the machine ran out of memory"

    def test_tasks_go_first_when_memory_runs_out(self, engine, new_task, end_of, output):
        """Not the service, nor a supervisor that could not say then what happened."""
        engine.launch(new_task("cat /proc/self/oom_score_adj /proc/$PPID/oom_score_adj"))
        end_of(engine)
        own = Path("/proc/self/oom_score_adj").read_text().strip()
        task, supervisor = (output / "stdout.txt").read_text().split()
        assert int(task) > int(own)
        assert own == supervisor


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 256 KiB."""
    place = tmp_path / "small"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(place)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("file systems cannot be mounted here")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


class TestDisk:
    """Disks that are full, and that much is written to."""

    def test_the_output_directory_is_full(self, engine, new_task, end_of, small_disk):
        """The program fails as it does anywhere; the error says what is the matter."""
        new_task.output = small_disk / "output"
        engine.launch(new_task("exec head -c 1000000 /dev/zero"))
        status = end_of(engine)
        assert (status.reason, status.exit_code) == ("exited", 1)
        assert f"is full: make room below {small_disk}/output" in status.message

    def test_the_output_directory_was_full_before(self, engine, new_task, end_of, small_disk):
        """A task that writes nothing still ends as it does."""
        new_task.output = small_disk / "output"
        subprocess.run(f"cat /dev/zero > {small_disk}/fill", shell=True, check=False)
        assert is_full(str(small_disk))
        task = new_task("exit 0")
        for folder in task.directories:
            Path(folder).mkdir(parents=True)
        engine.launch(task)
        assert end_of(engine).exit_code == 0

    def test_the_state_directory_is_full(self, state, engine, new_task, end_of, small_disk):
        """The task is not started, and says why; with room again it runs."""
        (state.jobs / "uid").symlink_to(small_disk)
        subprocess.run(f"cat /dev/zero > {small_disk}/fill", shell=True, check=False)
        engine.launch(new_task("true"))
        status = end_of(engine)
        assert status.reason == "not started"
        assert "No space left on device" in status.message
        (small_disk / "fill").unlink()
        again = LocalEngine(state)
        again.start(lambda *_: None)
        try:
            assert again.tasks("job", "uid") == {}
        finally:
            again.stop()

    def test_the_state_directory_gets_full_while_it_runs(
        self, state, engine, new_task, end_of, small_disk, gate
    ):
        """Its end is recorded nevertheless."""
        (state.jobs / "uid").symlink_to(small_disk)
        engine.launch(new_task(f"read x < {gate}; exit 3"))
        with gate.open("w") as opened:  # once it runs
            subprocess.run(f"cat /dev/zero > {small_disk}/fill", shell=True, check=False)
            opened.write("\n")
        assert end_of(engine).exit_code == 3


class TestInheritance:
    """What a task gets of the service."""

    @pytest.fixture
    def under_nohup(self):
        """What a shell leaves ignored in programs that it starts in its background."""
        ignored = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT)
        before = [signal.signal(number, signal.SIG_IGN) for number in ignored]
        yield
        for number, handler in zip(ignored, before, strict=True):
            signal.signal(number, handler)

    def test_no_signal_is_ignored_or_blocked(
        self, under_nohup, new_engine, new_task, end_of, output
    ):
        """Python ignores SIGPIPE, a task does not; what the C library keeps for itself may be."""
        engine = new_engine()
        engine.launch(new_task("exec grep -E '^Sig(Blk|Ign)' /proc/self/status"))
        end_of(engine)
        masks = [line.split()[1] for line in (output / "stdout.txt").read_text().splitlines()]
        of_c_library = 0b11 << 31  # signals 32 and 33
        assert [int(mask, 16) & ~of_c_library for mask in masks] == [0, 0]


@pytest.mark.parametrize("whom", ["the process that it is forked from", "the service"])
def test_a_task_that_is_not_to_outlive_its_service(
    state, bell, a_family, supervisor_of, processes, whom
):
    """It ends, daemons and all, also when nobody is left who could have told its supervisor."""
    engine = LocalEngine(state, outlived=False)
    engine.start(bell.ring)
    engine.prepare_node("node", ())
    task, pids = a_family
    engine.launch(task)
    family = pids()
    supervisor = supervisor_of()
    if whom == "the service":
        engine.stop()
    else:
        engine._supervisors._parent.kill()
    for pid in [*family, supervisor]:
        processes.wait_until_gone(pid)
    engine.stop()

"""Engines over a fresh state directory, and tasks for them."""

import os
import pkgutil
import select
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from batchai_recipes.service.engines.engine import NotYetError, Running, Task, TaskKey
from batchai_recipes.service.state_directory import StateDirectory

# What makes an engine from a state directory: the tests of every engine run against each of these.
ENGINES = [
    "batchai_recipes.service.engines.local:LocalEngine",
    pytest.param(
        "prepared_ray_engine:PreparedRayEngine", marks=[pytest.mark.slow, pytest.mark.ray]
    ),
]
PATIENCE_SECONDS = 60.0


class Bell:
    """Waits for what an engine's notifications lead to."""

    def __init__(self):
        self._condition = threading.Condition()

    def ring(self, *_):
        """Let those who wait look again."""
        with self._condition:
            self._condition.notify_all()

    def wait_for(self, predicate):
        """Wait until a condition holds; tell whether it did in time."""
        with self._condition:
            return self._condition.wait_for(predicate, PATIENCE_SECONDS)


@pytest.fixture
def bell():
    """Rung by the engine."""
    return Bell()


def pytest_generate_tests(metafunc):
    """What is common to engines is tested on each, what only the local one promises on that."""
    if "engine_name" in metafunc.fixturenames:
        common = "test_every_engine" in metafunc.module.__name__
        metafunc.parametrize(
            "engine_name",
            ENGINES if common else ENGINES[:1],
            ids=lambda name: name.rpartition(":")[2],
            indirect=True,
        )


@pytest.fixture
def engine_name(request):
    """The name of what makes an engine."""
    if "Ray" in request.param:
        request.getfixturevalue("in_ray_cluster")
    return request.param


@pytest.fixture
def new_engine(engine_name, state, bell):
    """Start engines over the same state directory, as restarted services have them."""
    started = []

    def start(**options):
        made = pkgutil.resolve_name(engine_name)(state, **options)
        made.start(bell.ring)
        started.append(made)
        return made

    yield start
    for made in started:
        for job in state.jobs.iterdir():
            for name in made.tasks("job", job.name):
                made.terminate(TaskKey("job", job.name, name))
        made.stop()


class KeptEngine:
    """An engine that the tests of a module use one after the other, since it takes long to start.

    Args:
        folder: Makes folders for its state.
    """

    def __init__(self, folder):
        self._folder = folder
        self._engine = self._state = None
        self._bell = None
        self.is_changed = False

    def state(self):
        """Its state directory."""
        if self._state is None:
            self._state = StateDirectory(self._folder("kept") / "state")
            self._state.create()
        return self._state

    def of_test(self, name, bell):
        """The engine, made where there is none, which rings a test's bell."""
        self._bell = bell
        state = self.state()
        if self._engine is None:
            self._engine = pkgutil.resolve_name(name)(state)
            self._engine.start(lambda *_: self._bell.ring())
        return self._engine

    def tidy(self):
        """End and forget what a test has left; give it up where its node has been changed."""
        engine = self._engine
        for name in engine.tasks("job", "uid"):
            engine.terminate(TaskKey("job", "uid", name))
        over = self._bell.wait_for(lambda: Running() not in engine.tasks("job", "uid").values())
        if self.is_changed or not over:
            self.give_up()
        else:
            engine.release_job("uid")

    def give_up(self):
        """Have the next test get another."""
        if self._engine is not None:
            self._engine.stop()
        self._engine = self._state = None
        self.is_changed = False


@pytest.fixture(scope="module")
def kept_engine(tmp_path_factory):
    """The engine that the tests of a module share, where it takes long to start."""
    kept = KeptEngine(tmp_path_factory.mktemp)
    yield kept
    kept.give_up()


def _has_kept_engine(request):
    """Whether a test does with an engine that others had, and will have."""
    parameters = request.node.callspec.params if hasattr(request.node, "callspec") else {}
    own = {"new_engine", "killed_service"}.intersection(request.fixturenames)
    return "Ray" in parameters.get("engine_name", "") and not own


@pytest.fixture
def state(request, state):
    """The engine's state directory; a fresh one, unless the test has an engine that is kept."""
    if _has_kept_engine(request):
        return request.getfixturevalue("kept_engine").state()
    return state


@pytest.fixture
def engine(request, engine_name, state, bell):
    """An engine that watches, and knows of no job."""
    if not _has_kept_engine(request):
        yield request.getfixturevalue("new_engine")()
        return
    kept = request.getfixturevalue("kept_engine")
    yield kept.of_test(engine_name, bell)
    kept.tidy()


@pytest.fixture
def answer_of(bell):
    """Ask an engine for something: now, or again when it has been answered by a node."""

    def wait(ask):
        answers = []

        def is_answered():
            try:
                answers.append(ask())
            except NotYetError:
                return False
            return True

        assert bell.wait_for(is_answered)
        return answers[0]

    return wait


@pytest.fixture
def prepare(kept_engine, bell):
    """Prepare an engine's node ``node`` and wait until it has its volumes."""

    def wait(engine, *mounts):
        kept_engine.is_changed = bool(mounts)
        assert bell.wait_for(lambda: engine.prepare_node("node", mounts))

    return wait


@pytest.fixture
def output(tmp_path):
    """Where the tasks' output goes."""
    return tmp_path / "output"


class NewTask:
    """Makes tasks of job ``uid`` on node ``node``: ``new_task("command", X="1")``.

    Args:
        output: The folder of their output.
    """

    def __init__(self, output):
        self.output = output

    def __call__(self, command_line, *, grace_seconds=5.0, time_limit_seconds=None, **environment):
        """Make a task."""
        output = self.output
        return Task(
            key=TaskKey("job", "uid", "process-0"),
            node_id="node",
            label="job",
            command_line=command_line,
            environment=environment,
            working_directory=str(output),
            directories=(str(output / "models"),),
            stdout=str(output / "stdout.txt"),
            stderr=str(output / "stderr.txt"),
            log=str(output / "execution.log"),
            notes=("a note",),
            grace_seconds=grace_seconds,
            time_limit_seconds=time_limit_seconds,
        )


@pytest.fixture
def new_task(output):
    """Make tasks of job ``uid`` on node ``node``: ``new_task("command", X="1")``."""
    return NewTask(output)


@pytest.fixture
def end_of(bell):
    """Wait until the only task of job ``uid`` runs no more, and return its status."""

    def wait(engine):
        def ended():
            (status,) = engine.tasks("job", "uid").values()
            return type(status).__name__ in {"Ended", "Lost"}

        assert bell.wait_for(ended)
        (status,) = engine.tasks("job", "uid").values()
        return status

    return wait


class Processes:
    """What tests ask of processes that are not theirs."""

    @staticmethod
    def is_gone(pid):
        """Tell whether a process is gone; a zombie is."""
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except FileNotFoundError:
            return True
        return stat.rpartition(")")[2].split()[0] == "Z"

    @staticmethod
    def wait_until_gone(pid):
        """Wait for the end of a process that is no child of this one."""
        try:
            handle = os.pidfd_open(pid)
        except ProcessLookupError:
            return
        ready, _, _ = select.select([handle], [], [], PATIENCE_SECONDS)
        os.close(handle)
        assert ready, "the process runs on"


@pytest.fixture(scope="session")
def processes():
    """Look at processes: ``processes.is_gone(pid)``."""
    return Processes


@pytest.fixture
def fifo(tmp_path):
    """A FIFO that tasks write to, and a call that waits for what they write, without sleeping."""
    path = tmp_path / "fifo"
    os.mkfifo(path)
    descriptor = os.open(path, os.O_RDWR)

    def line():
        ready, _, _ = select.select([descriptor], [], [], PATIENCE_SECONDS)
        assert ready, "the task wrote nothing"
        return os.read(descriptor, 4096).decode()

    yield path, line
    os.close(descriptor)


@pytest.fixture
def gate(tmp_path):
    """A FIFO that tasks read from, until the test writes to it."""
    path = tmp_path / "gate"
    os.mkfifo(path)
    return path


@pytest.fixture(scope="session")
def all_text_below():
    """Return the content of every file below a folder."""

    def read(folder):
        files = [path for path in folder.rglob("*") if path.is_file()]
        return "".join(path.read_text(errors="replace") for path in files)

    return read


SERVICE = """
import os, pkgutil, signal, sys
from pathlib import Path
from batchai_recipes.service.engines.engine import Task, TaskKey
from batchai_recipes.service.state_directory import StateDirectory
name, state, output, command, up = sys.argv[1:]
engine = pkgutil.resolve_name(name)(StateDirectory(Path(state)))
engine.start(lambda *_: None)
engine.launch(
    Task(
        key=TaskKey("job", "uid", "process-0"), node_id="node", label="job",
        command_line=f"echo up > {up}; {command}",
        environment={"SECRET": "hunter2"}, working_directory=output, directories=(output,),
        stdout=output + "/stdout.txt", stderr=output + "/stderr.txt", log=output + "/execution.log",
    )
)
open(up).read()  # until the task runs
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def killed_service(engine_name, state, output, tmp_path):
    """Let a service launch a task and be killed once that runs, without any chance to clean up."""

    def run(command):
        up = tmp_path / "up"
        os.mkfifo(up)
        arguments = [engine_name, str(state.root), str(output), command, str(up)]
        done = subprocess.run([sys.executable, "-c", SERVICE, *arguments], check=False, timeout=120)
        assert done.returncode == -9

    return run


@pytest.fixture
def a_family(new_task, fifo):
    """Make a task with a child and a daemon, and a call that waits for their three process ids."""
    path, line = fifo
    daemon = f'exec setsid sh -c "sleep 1000 & echo \\$\\$ > {path}.daemon; wait"'
    command = f"(({daemon}) &); sleep 1000 & echo $$ $! > {path}; wait"
    os.mkfifo(f"{path}.daemon")

    def pids():
        family = [int(pid) for pid in line().split()]
        return [*family, int(Path(f"{path}.daemon").read_text())]

    return new_task(command), pids

"""A local engine over a fresh state directory, and tasks for it."""

import threading

import pytest

from batchai_recipes.service.engines.engine import Task, TaskKey
from batchai_recipes.service.engines.local import LocalEngine

PATIENCE_SECONDS = 30.0


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


@pytest.fixture
def engine(state, bell):
    """A local engine that watches."""
    made = LocalEngine(state)
    made.start(bell.ring)
    yield made
    for job in state.jobs.iterdir():
        for name in made.tasks("job", job.name):
            made.terminate(TaskKey("job", job.name, name))
    made.stop()


@pytest.fixture
def output(tmp_path):
    """Where the tasks' output goes."""
    return tmp_path / "output"


@pytest.fixture
def new_task(output):
    """Make tasks of job ``uid`` on node ``node``: ``new_task("command", X="1")``."""

    def make(command_line, *, grace_seconds=5.0, time_limit_seconds=None, **environment):
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

    return make


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

"""What could not be done is tried again, at growing intervals, whatever else happens."""

import pytest

from batchai_recipes.service.engines.engine import EngineError
from batchai_recipes.service.engines.simulated import SimulatedEngine
from batchai_recipes.service.scheduling.retries import Retries


class Refusing(SimulatedEngine):
    """An engine that cannot do some things for a while."""

    launches = releases = True

    def launch(self, task):
        """Start a task, where that is possible."""
        if not self.launches:
            raise RuntimeError("a bug")
        super().launch(task)

    def release_job(self, job_uid):
        """Remove the folder of a job, where that is possible."""
        if not self.releases:
            raise EngineError("the folder is busy")
        super().release_job(job_uid)


@pytest.fixture
def engine(hand_clock):
    """Such an engine."""
    return Refusing(hand_clock)


@pytest.fixture
def seconds():
    """The seconds of a clock that a test moves."""
    return [1000.0]


@pytest.fixture
def scheduler(new_scheduler, seconds):
    """A scheduler whose retries go by that clock."""
    return new_scheduler(retries=Retries(lambda: seconds[0]))


def test_a_busy_service_puts_no_retry_off(rows, scheduler, engine, seconds):
    """However often it is woken by something else meanwhile."""
    rows.add_cluster(nodes=2)
    engine.launches = False
    job = rows.add_job()
    scheduler.look()
    engine.launches = True
    for _ in range(6):
        seconds[0] += 0.1
        scheduler.look()  # something else has happened

    assert len(engine.launched) == 1
    assert rows.job(job)["execution_state"] == "running"


def test_nothing_is_tried_again_before_its_time(rows, scheduler, engine, seconds):
    """The pauses double, up to a minute."""
    rows.add_cluster()
    engine.launches = False
    rows.add_job()
    tried = []
    engine.launch = lambda _: (tried.append(seconds[0] - 1000.0), 1 / 0)
    for _ in range(4000):
        scheduler.look()
        seconds[0] += 0.0625

    assert tried == [0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5, 63.5, 123.5, 183.5, 243.5]


def test_a_deletion_that_failed_is_tried_again(rows, scheduler, engine, seconds):
    """Though nothing else happens; its operation ends only then."""
    rows.add_cluster()
    job = rows.add_job()
    scheduler.look()
    engine.end(rows.task_of(job), 0)
    scheduler.look()
    engine.releases = False
    operation = rows.delete(job)
    scheduler.look()
    assert rows.operation_status(operation) == "InProgress"
    engine.releases = True
    seconds[0] += 0.5
    assert scheduler.seconds_to_next_look() == 0.0
    scheduler.look()

    assert not rows.exists(job)
    assert rows.operation_status(operation) == "Succeeded"
    assert scheduler.seconds_to_next_look() is None

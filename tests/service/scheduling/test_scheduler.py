"""The thread that the scheduler runs in."""

import threading

import pytest

from batchai_recipes.service.engines.simulated import SimulatedEngine

FIVE_SECONDS = 5.0


class LaunchBellEngine(SimulatedEngine):
    """Tells when it has launched something; fails once, first, when so asked."""

    def __init__(self, clock, *, stubborn=False, broken=False):
        super().__init__(clock, stubborn=stubborn)
        self.has_launched = threading.Event()
        self.broken = broken

    def launch(self, task):
        """Launch, or fail once."""
        if self.broken:
            self.broken = False
            raise RuntimeError("out of luck")
        super().launch(task)
        self.has_launched.set()


@pytest.fixture
def engine(hand_clock):
    """An engine whose tasks end when the test says so."""
    return LaunchBellEngine(hand_clock)


class TestThread:
    """The scheduler in its own thread."""

    def test_it_acts_when_woken_and_announces_what_it_did(self, rows, scheduler, engine, changes):
        """Commits ring the bell; ends of tasks wake it by themselves."""
        scheduler.start()
        try:
            rows.add_cluster()
            job = rows.add_job()
            scheduler.wake()
            assert engine.has_launched.wait(FIVE_SECONDS)
            engine.end(rows.task_of(job), 0)
            assert changes.wait_until(
                lambda: rows.job(job)["execution_state"] == "succeeded", FIVE_SECONDS
            )
        finally:
            scheduler.stop()

    def test_stopping_leaves_jobs_running(self, rows, scheduler, engine, changes):
        """Nothing is terminated."""
        rows.add_cluster()
        job = rows.add_job()
        scheduler.start()
        assert changes.wait_until(
            lambda: rows.job(job)["execution_state"] == "running", FIVE_SECONDS
        )
        scheduler.stop()
        assert engine.termination_requests == []
        assert rows.job(job)["execution_state"] == "running"

    def test_it_survives_an_error(self, rows, new_scheduler, hand_clock, caplog):
        """After a failure it tries again by itself."""
        engine = LaunchBellEngine(hand_clock, broken=True)
        scheduler = new_scheduler(engine)
        rows.add_cluster()
        rows.add_job()
        scheduler.start()
        try:
            assert engine.has_launched.wait(FIVE_SECONDS)
        finally:
            scheduler.stop()
        assert "out of luck" in caplog.text

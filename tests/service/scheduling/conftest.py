"""A scheduler over a simulated engine, that takes steps when a test says so."""

import pytest

from batchai_recipes.service.engines.simulated import SimulatedEngine
from batchai_recipes.service.scheduling.scheduler import Scheduler


@pytest.fixture
def engine(hand_clock):
    """An engine whose tasks end when the test says so."""
    return SimulatedEngine(hand_clock)


@pytest.fixture
def new_scheduler(store, hand_clock, changes, engine, shares, accounts):
    """Make schedulers over the same records and engine, as restarted services have them."""

    def make(engine=engine, **options):
        scheduler = Scheduler(
            store=store,
            clock=hand_clock,
            changes=changes,
            engine=engine,
            shares=shares,
            accounts=accounts,
            interpreter="/usr/bin/python3",
            **options,
        )
        scheduler.listen()
        return scheduler

    return make


@pytest.fixture
def scheduler(new_scheduler):
    """A scheduler that is not started: tests call settle."""
    return new_scheduler()

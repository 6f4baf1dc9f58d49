"""When low-priority nodes are taken away."""

from datetime import datetime, timedelta, timezone

import pytest

from batchai_recipes.service.scheduling.preemption import Preemption

NOON = datetime(2018, 6, 6, 12, tzinfo=timezone.utc)


@pytest.mark.parametrize("rate", [-1.0, float("nan"), float("inf")])
def test_a_rate_that_is_none(rate):
    """It is refused where it is given, not in the scheduler."""
    with pytest.raises(ValueError, match="preemption rate"):
        Preemption(rate)


def test_a_rate_so_low_that_no_calendar_has_the_time():
    """The node stays."""
    preemption = Preemption(1e-300, seed=1)
    preemption.watch(["node"], NOON)
    assert preemption.due(NOON + timedelta(days=36500)) == []

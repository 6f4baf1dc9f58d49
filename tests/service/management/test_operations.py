"""Operations that have ended, and how long they are remembered."""

from datetime import datetime, timedelta, timezone

import pytest

from batchai_recipes.service.clock import iso_timestamp
from batchai_recipes.service.management.operations import OPERATIONS_KEPT


@pytest.fixture
def ended(plane):
    """What records operations that ended so long ago, and what counts those that are left.

    The oldest come first, as they do where time goes on.
    """
    with plane.store.write() as records:
        records.execute("DELETE FROM operations")

    def record(ids, ago):
        moment = iso_timestamp(datetime.now(timezone.utc) - ago)
        with plane.store.write() as records:
            records.executemany(
                "INSERT INTO operations VALUES (?, 's', 'l', 'k', ?, 'create', 'Succeeded', "
                "'t', ?, NULL)",
                [(one, f"/subscriptions/{plane.subscription}", moment) for one in ids],
            )

    def left(prefix):
        with plane.store.read() as records:
            (count,) = records.execute(
                "SELECT COUNT(*) FROM operations WHERE id LIKE ?", (f"{prefix}%",)
            ).fetchone()
        return count

    return record, left


def test_a_service_that_never_stops_forgets_old_operations(plane, api, experiment, ended):
    """A few with each that begins; those of the last days are still there to be asked for."""
    record, left = ended
    record([f"old-{number}" for number in range(20)], OPERATIONS_KEPT + timedelta(minutes=1))
    record(["young"], OPERATIONS_KEPT - timedelta(minutes=1))
    for _ in range(4):
        api("PUT", experiment)
        assert api("DELETE", experiment).status_code == 202
        plane.scheduler.settle()

    assert left("old-") == 0
    place = "/providers/Microsoft.BatchAI/locations/l/operationresults/young"
    assert api("GET", place).json()["status"] == "Succeeded"

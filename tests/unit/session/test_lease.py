"""Leases: on which clock they run, how they are written, who renews them."""

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchai_recipes.builders.cluster_limits import ClusterLimits
from batchai_recipes.session.lease import LEASE, LEASE_TAG, SESSION_TAG, Lease
from batchai_recipes.session.service_clock import ServiceClock
from batchai_recipes.session.watcher import RENEWAL_SECONDS

NOON = datetime(2026, 11, 24, 12, tzinfo=timezone.utc)
SECONDS = st.none() | st.floats(min_value=1e-3, allow_infinity=False)
LIMITS = st.builds(ClusterLimits, SECONDS, SECONDS)
TIMES = st.datetimes(timezones=st.just(timezone.utc))


@given(
    session=st.text("abc-", min_size=1),
    expires=st.none() | TIMES,
    shares=st.lists(st.sampled_from(["demo/data", "demo/a/b"]), max_size=3).map(tuple),
    limits=st.dictionaries(st.text("ab-_", min_size=1), LIMITS.filter(lambda one: one.shortest)),
    detached=st.booleans(),
)
def test_a_lease_is_read_as_it_was_written(session, expires, shares, limits, detached):
    """Through tags, which are texts."""
    lease = Lease(session, expires, shares, "host/1", detached=detached, limits=limits)

    assert Lease.from_tags(lease.tags()) == lease


@pytest.mark.parametrize(
    "text", ["c", "c idle_timeout=soon", "c max_lifetime=-1", "c idle_timeout", "c nonsense=4"]
)
def test_limits_that_say_nothing_are_passed_over(text):
    """The lease itself is read."""
    tags = {**Lease("s", NOON).tags(), "batchai-recipes-limits": text}

    assert Lease.from_tags(tags).limits == {}


@given(expires=TIMES, now=TIMES)
def test_a_lease_has_run_out_when_its_time_has_come(expires, now):
    """Not before; one that was kept never does."""
    assert Lease("s", expires).has_run_out(now) == (now >= expires)
    assert not Lease("s", None).has_run_out(now)


@pytest.mark.parametrize(
    "tags",
    [
        None,
        {},
        {"mine": "yes"},
        {SESSION_TAG: "s"},
        {LEASE_TAG: "kept"},
        {SESSION_TAG: "s", LEASE_TAG: "soon"},
        {SESSION_TAG: "s", LEASE_TAG: "2026-11-24T12:00:00"},
    ],
)
def test_other_tags_are_no_lease(tags):
    """What somebody else wrote, or changed, is never taken for one."""
    assert Lease.from_tags(tags) is None


def test_the_clock_is_the_services(clock):
    """This machine's own may be wrong by years."""
    service = ServiceClock(lambda: clock.now)
    service.set_by("Tue, 24 Nov 2026 12:00:00 GMT")
    clock.sleep(90)

    assert service.now() == NOON + timedelta(seconds=90)


@pytest.mark.parametrize("date", [None, "", "yesterday"])
def test_an_answer_without_a_date_changes_nothing(clock, date):
    """The last one that had a date goes on."""
    service = ServiceClock(lambda: clock.now)
    service.set_by("Tue, 24 Nov 2026 12:00:00 GMT")
    service.set_by(date)

    assert service.now() == NOON


def test_a_lease_is_longer_than_several_renewals():
    """One that fails is tried again in time."""
    assert timedelta(seconds=2 * RENEWAL_SECONDS) < LEASE

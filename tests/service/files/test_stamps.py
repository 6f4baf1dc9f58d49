"""Times of change."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone

from hypothesis import given
from hypothesis import strategies as st

from batchai_recipes.service.files.stamps import Stamps, long_timestamp, moment_of


class StoppedClock:
    """Shows one time only."""

    def __init__(self, moment):
        self.moment = moment

    def now(self):
        """Return that time."""
        return self.moment


def test_stamps_grow_even_where_time_stands_still():
    """Threads that ask at once get different stamps."""
    stamps = Stamps(StoppedClock(datetime(2024, 1, 1, tzinfo=timezone.utc)))

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(stamps.after, [0] * 1000))

    assert len(found) == len(set(found))


@given(
    st.integers(0, 2**61),
    st.datetimes(timezones=st.just(timezone.utc)).filter(lambda moment: 1970 <= moment.year < 2200),
)
def test_a_stamp_is_after_the_one_before(previous, moment):
    """A file whose time lies in the future still changes its stamp, and no other file's."""
    clock = StoppedClock(moment)
    stamps = Stamps(clock)

    stamp = stamps.after(previous)

    assert stamp > previous
    assert moment_of(stamp) >= clock.moment
    assert abs((moment_of(stamps.after(0)) - clock.moment).total_seconds()) < 1


@given(st.integers(-(2**64) * 10**9, 2**64 * 10**9))
def test_any_time_that_a_disk_tells_can_be_told(stamp):
    """A disk in memory keeps whatever a job gives its files; others go to the year 2446."""
    text = long_timestamp(moment_of(stamp))

    assert "1601" <= text[:4] <= "9999"
    assert (stamp > 0) == (text > long_timestamp(moment_of(0))) or -1000 < stamp < 1000

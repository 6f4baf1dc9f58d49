"""What several sessions use: who deletes it, whoever comes in between."""

from datetime import datetime, timedelta, timezone

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from batchai_recipes import RequestError
from batchai_recipes.session.joint_use import JointUse, Labels, Use, uses
from batchai_recipes.session.service_clock import ServiceClock

NOON = datetime(2026, 11, 24, 12, tzinfo=timezone.utc)
SOON = NOON + timedelta(minutes=15)


class Thing:
    """Something in memory; `before` is done before each of its requests, once."""

    def __init__(self):
        self.labels = None
        self.before = {}
        self.workspace = None

    def __str__(self):
        return "file share data"

    def _step(self, name):
        act = self.before.pop(name, None)
        if act:
            act()

    def read(self):
        """Return the labels."""
        self._step("read")
        return self.labels

    def make(self, entry):
        """Make it unless it is there."""
        self._step("make")
        if self.labels:
            return False
        self.labels = Labels(dict(entry), "1", of_sessions=True)
        return True

    def write(self, labels):
        """Change it as it was read."""
        self._step("write")
        if not self.labels or self.labels.etag != labels.etag:
            return False
        self.labels = evolve(labels, etag=labels.etag + "1")
        return True

    def delete(self, labels):
        """Delete it as it was read."""
        self._step("delete")
        if self.labels and self.labels.etag != labels.etag:
            return False
        self.labels = None
        return True

    def other_user(self):
        """Return whoever is no session."""
        self._step("other_user")
        return self.workspace


@pytest.fixture
def thing():
    """A thing that is not there."""
    return Thing()


@pytest.fixture
def use(thing, clock):
    """Make a session's use of the thing."""
    service = ServiceClock(lambda: clock.now)
    service.set_by("Tue, 24 Nov 2026 12:00:00 GMT")
    return lambda session, report=str: JointUse(thing, session, service, clock.pacing(), report)


def test_the_last_of_two_deletes_it(thing, use):
    """Whoever made it."""
    assert (use("a").begin(SOON), use("b").begin(SOON)) == ("made", "joined")
    other = use("a").end()

    assert (str(other), other.takes_over) == ("session b uses it", True)
    assert thing.labels is not None
    assert use("b").end() is None
    assert thing.labels is None


@pytest.mark.parametrize("step", ["read", "other_user", "delete"])
def test_one_that_comes_while_it_is_deleted_is_seen(thing, use, step):
    """At each step of the deletion."""
    use("a").begin(SOON)
    thing.before[step] = lambda: use("b").begin(SOON)

    assert str(use("a").end()) == "session b uses it"
    assert [one.session for one in uses(thing.labels.values)] == ["b"]


@pytest.mark.parametrize("step", ["read", "write"])
def test_one_that_comes_to_what_is_deleted_makes_it_anew(thing, use, step):
    """At each step of its coming."""
    use("a").begin(SOON)
    thing.before[step] = lambda: use("a").end()

    assert use("b").begin(SOON) == "made"
    assert [one.session for one in uses(thing.labels.values)] == ["b"]


def test_of_two_that_find_it_missing_one_makes_it(thing, use):
    """And the other joins."""
    thing.before["make"] = lambda: use("b").begin(SOON)

    assert use("a").begin(SOON) == "joined"


@pytest.mark.parametrize("step", ["read", "write"])
def test_of_two_that_go_at_the_same_time_one_deletes_it(thing, use, step):
    """Neither leaves it to the other."""
    use("a").begin(SOON)
    use("b").begin(SOON)
    ended = []
    thing.before[step] = lambda: ended.append(use("b").end())
    ended.append(use("a").end())

    assert thing.labels is None
    assert None in ended


def test_what_somebody_else_made_is_never_deleted(thing, use):
    """Nor labelled."""
    thing.labels = there = Labels({"mine": "yes"}, "1", of_sessions=False)

    assert use("a").begin(SOON) == "not ours"
    use("a").renew(SOON)
    assert "made it anew" in str(use("a").end())
    assert thing.labels == there


def test_a_session_that_was_not_heard_of_for_long_uses_nothing(thing, use, clock):
    """It was killed; what it used is deleted by the next."""
    use("gone").begin(SOON)
    use("a").begin(SOON + timedelta(hours=1))
    clock.sleep(15 * 60)

    assert use("a").end() is None


def test_what_was_kept_on_purpose_stays(thing, use):
    """For good, by one session for all."""
    use("a").begin(SOON)
    use("b").begin(SOON)
    use("a").renew(None)

    assert str(use("b").end()) == "session a uses it"


def test_a_workspace_of_somebody_keeps_its_group(thing, use):
    """And the session goes on owning it, for `reap`."""
    use("a").begin(SOON)
    thing.workspace = "workspace w"

    assert not use("a").end().takes_over
    assert [one.session for one in uses(thing.labels.values)] == ["a"]


def test_turns_come_one_after_the_other(thing, use, clock):
    """That of a session that is gone is over; who waits says for whom."""
    said = []
    use("a").begin(SOON, in_turn=True)
    assert use("b", said.append).begin(SOON, in_turn=True) == "joined"

    assert said == ["Waiting for file share data: session a to stage to it"]
    assert clock.now >= 15 * 60


def test_a_turn_that_ends_lets_the_next_begin(thing, use):
    """Without waiting."""
    use("a").begin(SOON, in_turn=True)
    use("a").end_turn()
    said = []

    assert use("b", said.append).begin(SOON, in_turn=True) == "joined"
    assert said == []


def test_what_never_comes_to_rest_is_an_error(thing, use, clock):
    """After ten minutes, with what to do."""
    use("a").begin(SOON)
    thing.labels = evolve(thing.labels, deleting=True)
    with pytest.raises(RequestError, match="Failed to use file share data: .*use another name"):
        use("b").begin(SOON)
    assert clock.now >= 600


@given(
    session=st.from_regex(r"[A-Za-z0-9._-]{1,60}", fullmatch=True),
    until=st.none() | st.datetimes(timezones=st.just(timezone.utc)),
)
def test_a_use_is_read_as_it_was_written(session, until):
    """Through labels, which are texts."""
    assert uses(Use(session, until).entry()) == [Use(session, until)]


def test_other_labels_are_no_use():
    """Whoever wrote them."""
    assert uses({"batchai_recipes_user_s": "", "mine": "s kept"}) == []
    assert uses(None) == []


@pytest.mark.parametrize("value", ["s", "s yesterday", "s 2026-11-24T12:00:00"])
def test_who_uses_it_until_nobody_knows_when_does_so_for_good(value):
    """Somebody changed the label: nothing is deleted that somebody may use."""
    assert uses({"batchai_recipes_user_s": value}) == [Use("s", None)]


def test_an_entry_under_another_name_goes_with_its_session(thing, use):
    """The value says whose it is."""
    use("a").begin(SOON)
    use("b").begin(SOON)
    entry = Use("a", SOON).entry().popitem()[1]
    thing.labels = evolve(
        thing.labels, values={**thing.labels.values, "batchai_recipes_user_x": entry}
    )

    assert str(use("a").end()) == "session b uses it"
    assert thing.labels.values == Use("b", SOON).entry()

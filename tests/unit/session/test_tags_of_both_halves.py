"""What sessions write on the service, and what the service makes of it, and the other way round.

The two halves share no code: docs/sessions.md says what the tags mean. So whatever one of them
writes, and whatever somebody made of that by hand, is held against what the other one reads.
"""

from datetime import datetime, timedelta, timezone

from attrs import evolve
from hypothesis import example, given
from hypothesis import strategies as st

from batchai_recipes.builders.cluster_limits import ClusterLimits
from batchai_recipes.service.sessions import session_tags, users
from batchai_recipes.service.sessions.session_tags import SessionTags
from batchai_recipes.service.sessions.users import Users
from batchai_recipes.session import joint_use, lease, workspace_notes
from batchai_recipes.session.joint_use import TURN, JointUse, Labels, Use, label_of, uses
from batchai_recipes.session.lease import SHARE_METADATA, Lease
from batchai_recipes.session.service_clock import ServiceClock
from batchai_recipes.session.workspace_notes import (
    DELETER,
    inner_labels,
    inner_uses,
    start_of,
    workspace_uses,
)

NOW = datetime(2026, 11, 24, 12, tzinfo=timezone.utc)
FOREIGN = {"mine": "yes", "batchai_recipes": "s kept", "kept": "kept"}

ZONES = st.sampled_from(
    [timezone.utc, timezone(timedelta(hours=14)), timezone(-timedelta(hours=9))]
)
TIMES = st.none() | st.datetimes(timezones=ZONES)
NEAR = st.none() | st.integers(-2, 2).map(lambda hours: NOW + timedelta(hours=hours))
SESSIONS = st.text("as1.-", min_size=1, max_size=4)
NAMES = st.text("aAc1_-", min_size=1, max_size=4)
SECONDS = st.none() | st.floats(min_value=1e-3)
LIMITS = st.dictionaries(NAMES, st.builds(ClusterLimits, SECONDS, SECONDS), max_size=3)
SHARES = st.lists(st.tuples(NAMES, NAMES).map("/".join), max_size=3).map(tuple)
LEASES = st.builds(
    Lease, SESSIONS, TIMES, SHARES, st.just("host/1"), NAMES | st.just(""), st.booleans(), LIMITS
)

# What somebody may make of them by hand.
SCRAPS = st.sampled_from(
    [
        *("", " ", "yes", "no", "kept", "s", "s kept", "s ", " kept", "s soon"),
        *("2026-11-24T12:00:00", "2026-11-24T12:00:00Z", "2026-11-24", "0001-01-01T00:00:00+14:00"),
        *("s 2026-11-24T13:00:00Z", "s 2026-11-24T13:00:00", "s 9999-12-31T23:59:59-09:00"),
        *("demo/data", "demo/", "/data", "demo/data/more", "=", "c =5", "idle_timeout=5"),
        *("c idle_timeout=1", "c idle_timeout=-1 max_lifetime=5", "C max_lifetime"),
        *("c idle_timeout=nan", "c max_lifetime=inf idle_timeout=soon", "c  idle_timeout=1_0 x=y"),
        "c max_lifetime=5 max_lifetime",
    ]
)
TAG_NAMES = st.sampled_from(
    [
        *(session_tags.SESSION, session_tags.LEASE, session_tags.DETACHED, "mine"),
        *(session_tags.SHARE + end for end in ("", "-2", "-3")),
        *(session_tags.LIMITS + end for end in ("", "-2", "-3")),
    ]
)
LABEL_NAMES = st.sampled_from(
    [
        *("batchai_recipes_user_s", "batchai_recipes_user_t", "Batchai_Recipes_User_S", TURN),
        *("batchai-recipes-session", "batchai_recipes_session", "batchai_recipes_user", "mine"),
    ]
)


def of_session(tags):
    """Return what a session reads in the tags of a workspace."""
    read = Lease.from_tags(tags)
    if read is None:
        return None
    limits = {
        name.lower(): (limit.idle_timeout, limit.max_lifetime)
        for name, limit in read.limits.items()
    }
    shares = tuple(
        (account, share) for account, _, share in (s.partition("/") for s in read.shares)
    )
    return read.session, read.expires, read.detached, shares, limits


def of_service(tags):
    """Return what the service reads in them."""
    read = SessionTags.of(tags)
    if read is None:
        return None
    limits = {name: (limit.idle_timeout, limit.max_lifetime) for name, limit in read.limits.items()}
    return read.session, read.until, read.detached, read.shares, limits


def test_both_call_them_the_same():
    """Each tag and label that both know."""
    assert (
        session_tags.SESSION,
        session_tags.LEASE,
        session_tags.DETACHED,
        session_tags.SHARE,
        session_tags.LIMITS,
        users.SHARE_MADE,
        users._USER,
        users._TURN,
        users.DELETER,
    ) == (
        lease.SESSION_TAG,
        lease.LEASE_TAG,
        lease.DETACHED_TAG,
        lease.SHARE_TAG,
        lease.LIMITS_TAG,
        lease.SHARE_METADATA,
        joint_use.USER,
        joint_use.TURN,
        workspace_notes.DELETER,
    )


@given(written=LEASES)
def test_the_service_reads_a_lease_as_it_was_written(written):
    """Whose, until when, whether a process has it, the shares, and how long clusters may stay."""
    limits = {
        name.lower(): (limit.idle_timeout, limit.max_lifetime)
        for name, limit in written.limits.items()
        if limit.shortest
    }
    shares = tuple(tuple(share.split("/")) for share in written.shares)
    read = of_service({**FOREIGN, **written.tags()})

    assert read == (written.session, written.expires, written.detached, shares, limits)


@given(written=LEASES, changes=st.dictionaries(TAG_NAMES, SCRAPS), lost=st.sets(TAG_NAMES))
def test_both_read_the_same_in_tags_that_somebody_changed(written, changes, lost):
    """What cannot be read means the same to both, and stops neither."""
    tags = {name: text for name, text in written.tags().items() if name not in lost} | changes

    assert of_service(tags) == of_session(tags)


@given(written=LEASES, changes=st.dictionaries(TAG_NAMES, SCRAPS), moves=st.integers(-3, 3))
def test_a_lease_ends_for_both_at_the_same_moment(written, changes, moves):
    """The service ends no session that its program has, and misses none that nobody has."""
    tags = {**evolve(written, expires=written.expires and NOW).tags(), **changes}
    now = NOW + timedelta(microseconds=moves)
    read, known = Lease.from_tags(tags), SessionTags.of(tags)
    if read is None:
        assert known is None
        return
    gone = read.has_run_out(now)
    assert known.has_ended(now) == (read.detached and gone)
    assert known.is_unattended(now) == (read.expires is not None and (read.detached or gone))


@given(
    sessions=st.dictionaries(SESSIONS, NEAR, max_size=3),
    changes=st.dictionaries(LABEL_NAMES, SCRAPS, max_size=3),
)
@example({}, {"batchai_recipes_user_s": "s soon"})
def test_both_know_the_same_users(sessions, changes):
    """Of a share or a group, whoever wrote the labels; and who of them is gone."""
    labels = dict(FOREIGN)
    for session, until in sessions.items():
        labels |= Use(session, until).entry()
    labels |= changes
    known = uses(labels)
    alive = [use.session for use in known if not use.has_run_out(NOW)]

    read = Users(labels)
    for session in {*sessions, *(use.session for use in known), "nobody"}:
        assert read.include(session) == (session in {use.session for use in known})
        assert read.others(session, NOW) == [one for one in alive if one != session]


@given(name=NAMES, other=NAMES, kind=st.sampled_from(["cluster", "experiment"]), until=NEAR)
def test_both_know_the_same_users_within_a_workspace(name, other, kind, until):
    """By names that mean the same in capitals."""
    tags = {
        **FOREIGN,
        start_of(kind, name) + label_of("s"): f"s {until.isoformat() if until else 'kept'}",
        start_of(kind, other) + DELETER: "t",
        **Use("t", NOW).entry(),
    }
    for looked_for in (name, name.upper(), other):
        within = Users.within(tags, kind, looked_for)
        assert within.labels == inner_labels(kind, looked_for, tags)
        assert within.include("s") == (looked_for.lower() == name.lower())
        assert not within.include("t")


class Thing:
    """Something in memory that sessions use."""

    def __init__(self, values):
        self.labels = Labels(values, "1", of_sessions=True)

    def read(self):
        """Return its labels."""
        return self.labels

    def write(self, labels):
        """Change it."""
        self.labels = labels
        return True


def left_by_session(labels, session):
    """Return the labels of a thing that others use after a session has left it by itself."""
    clock = ServiceClock(lambda: 0.0)
    clock.set_by("Tue, 24 Nov 2026 12:00:00 GMT")
    thing = Thing(labels)
    assert JointUse(thing, session, clock).end().takes_over
    return thing.labels.values


@given(
    sessions=st.dictionaries(SESSIONS, NEAR, min_size=1, max_size=4),
    turn=st.none() | SESSIONS,
    changes=st.dictionaries(LABEL_NAMES, SCRAPS, max_size=2),
)
def test_the_service_leaves_a_share_as_its_session_would(sessions, turn, changes):
    """Its entry, and those of who is gone, are taken away, and nothing else."""
    session = next(iter(sessions))
    labels = {**FOREIGN, SHARE_METADATA: session}
    for one, until in {**sessions, "stays": None}.items():
        labels |= Use(one, until).entry()
    labels |= {TURN: turn or session, **changes}
    left = Users(labels, made=SHARE_METADATA).without(session, NOW)

    assert left == left_by_session(labels, session)
    assert session not in {use.session for use in uses(left)}


@given(
    written=LEASES,
    sessions=st.dictionaries(SESSIONS, NEAR, max_size=3),
    inner=st.lists(
        st.tuples(st.sampled_from(["cluster", "experiment"]), NAMES, SESSIONS, NEAR), max_size=4
    ),
)
def test_a_workspace_that_the_service_leaves_is_the_others(written, sessions, inner):
    """Who goes on with it finds no lease, and nobody who is gone; the rest is as it was."""
    mine, tags = written.session, {**FOREIGN, **written.tags(), **Use("stays", None).entry()}
    for session, until in {**sessions, mine: NOW}.items():
        tags |= Use(session, until).entry()
    for kind, name, session, until in (*inner, ("cluster", "c", mine, NOW)):
        start = start_of(kind, name)
        tags |= {start + label: text for label, text in Use(session, until).entry().items()}
    tags[start_of("cluster", "c") + DELETER] = mine
    before = [use for use in workspace_uses(tags) if use.session != mine]
    within = [one for one in inner_uses(tags) if one[2].session != mine]

    left = Users(SessionTags.without_lease(tags)).without(mine, NOW)

    assert SessionTags.of(left) is None
    assert Lease.from_tags(left) is None
    assert workspace_uses(left) == [use for use in before if not use.has_run_out(NOW)]
    assert list(inner_uses(left)) == [one for one in within if not one[2].has_run_out(NOW)]
    assert not any(text == mine for name, text in left.items() if name.endswith(DELETER))
    assert FOREIGN.items() <= left.items()

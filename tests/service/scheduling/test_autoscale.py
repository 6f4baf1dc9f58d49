"""Pure decisions: how a cluster with automatic scale grows and shrinks."""

from datetime import datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from batchai_recipes.service.scheduling.autoscale import (
    AutoScale,
    NodeCounts,
    RestingNode,
    given_up,
    grown,
    removable,
)

NOW = datetime(2018, 6, 6, 12, tzinfo=timezone.utc)
PATIENCE = timedelta(minutes=6)
COUNTS = st.builds(NodeCounts, st.integers(0, 5), st.integers(0, 5), st.integers(0, 5))
SCALES = st.tuples(st.integers(0, 6), st.integers(0, 9)).map(
    lambda pair: AutoScale(min(pair), max(pair))
)
WAITING = st.integers(0, 12)


def nodes_of(ages):
    """Nodes that have done nothing for some seconds, as they are asked for: the oldest first."""
    unusable = sorted((age for state, age in ages if state == "unusable"), reverse=True)
    idle = sorted((age for state, age in ages if state == "idle"), reverse=True)
    return [
        RestingNode(f"{state}-{number}", state, NOW - timedelta(seconds=age))
        for state, some in (("unusable", unusable), ("idle", idle))
        for number, age in enumerate(some)
    ]


AGES = st.lists(st.tuples(st.sampled_from(["idle", "unusable"]), st.integers(0, 900)), max_size=8)


@given(COUNTS, WAITING, SCALES)
def test_growing_stays_in_bounds_and_takes_no_node_away(counts, waiting, scale):
    """The minimum is met, the maximum kept unless there are more nodes already."""
    target = grown(counts, waiting, scale)
    assert target >= counts.staying
    assert target >= scale.minimum
    assert target <= max(scale.maximum, counts.staying)


@given(COUNTS, WAITING, SCALES)
def test_there_are_nodes_for_all_who_wait_where_the_maximum_allows(counts, waiting, scale):
    """Unusable nodes do no work but take up room."""
    target = grown(counts, waiting, scale)
    usable = target - counts.unusable
    assert usable >= counts.working + waiting or target >= scale.maximum


@given(COUNTS, WAITING, SCALES)
def test_what_can_be_removed_leaves_enough(counts, waiting, scale):
    """Those that work stay, those who wait can start, and the minimum is kept."""
    spare = removable(counts, waiting, scale)
    left = counts.staying - spare
    assert spare >= 0
    assert spare == 0 or left == max(counts.working + waiting, scale.minimum)


@given(AGES, st.integers(0, 8))
def test_only_nodes_that_rested_long_enough_go(ages, spare):
    """No more idle ones than the cluster can do without, and every unusable one."""
    nodes = nodes_of(ages)
    leaving, again_at = given_up(iter(nodes), spare, NOW, PATIENCE)
    old = {node.id for node in nodes if NOW - node.since >= PATIENCE}
    unusable = {node.id for node in nodes if node.state == "unusable"}
    assert set(leaving) <= old
    assert old & unusable <= set(leaving)
    assert len(set(leaving) - unusable) <= spare
    assert again_at is None or again_at > NOW


@given(AGES, st.integers(0, 8))
def test_at_the_time_told_there_is_something_to_give_up(ages, spare):
    """So looking then, and not before, is enough."""
    nodes = nodes_of(ages)
    leaving, again_at = given_up(iter(nodes), spare, NOW, PATIENCE)
    if again_at is not None:
        left = [node for node in nodes if node.id not in leaving]
        rest = max(spare - len(leaving), 0)
        early = again_at - timedelta(microseconds=1)
        assert given_up(iter(left), rest, early, PATIENCE)[0] == ()
        assert given_up(iter(left), rest, again_at, PATIENCE)[0] != ()

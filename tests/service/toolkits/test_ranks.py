"""Processes are dealt out to nodes."""

from hypothesis import given
from hypothesis import strategies as st

from batchai_recipes.service.toolkits.ranks import spread


@given(st.integers(1, 60), st.integers(1, 12))
def test_every_process_has_its_place_and_no_node_has_two_more_than_another(count, nodes):
    """Neighbours lie side by side, local ranks count from 0 on each node."""
    ranks = spread(count, nodes)
    assert [one.rank for one in ranks] == list(range(count))
    assert sorted(one.node_index for one in ranks) == [one.node_index for one in ranks]
    sizes = [sum(one.node_index == node for one in ranks) for node in range(nodes)]
    assert max(sizes) - min(sizes) <= 1
    for node, size in enumerate(sizes):
        here = [one for one in ranks if one.node_index == node]
        assert [one.local_rank for one in here] == list(range(size))
        assert {one.local_size for one in here} <= {size}

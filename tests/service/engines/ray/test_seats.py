"""Which bundles and machines are taken, and which placement groups may be removed."""

import threading

import pytest

from batchai_recipes.service.engines.ray.messages import NodeFacts
from batchai_recipes.service.engines.ray.seats import Seats

PATIENCE_SECONDS = 30.0


@pytest.fixture
def seats():
    """Those of nodes that are to be on machines of their own."""
    return Seats(apart=True)


def facts(group, bundle, machine):
    """What a node says of where it is."""
    return NodeFacts("10.0.0.1", "eth0", machine, group, sees_state=True, bundle=bundle)


def test_a_group_goes_with_its_last_node(seats):
    """It may hold others."""
    seats.take_all(["one", "two"], "cluster", "group", {0: "m1", 1: "m2"})
    assert seats.groups_with_room("cluster") == []
    assert seats.machines("cluster") == ["m1", "m2"]
    assert seats.leave("one") is None
    assert seats.is_needed("group")
    assert seats.groups_with_room("cluster") == ["group"]
    assert seats.leave("two") == "group"
    assert not seats.is_needed("group")
    assert not seats.is_to_tidy()


def test_no_group_goes_before_all_nodes_are_known(seats):
    """Then those are removed that have none: not at once, for others may hold it."""
    seats.expect("earlier", "cluster-2")
    seats.adopt("one", "cluster", facts("group", 0, "m1"))
    assert seats.leave("one") is None
    seats.ask_to_tidy()
    assert not seats.is_to_tidy()
    assert seats.is_needed("group")
    seats.adopt("earlier", "cluster-2", facts("group-2", 0, "m1"))
    assert seats.is_to_tidy()
    assert not seats.is_to_tidy()
    assert (seats.is_needed("group"), seats.is_needed("group-2")) == (False, True)


def test_a_group_that_is_being_made_is_needed(seats):
    """It has no nodes yet."""
    seats.begin("group", "cluster")
    assert seats.is_needed("group")
    seats.end("group")
    assert not seats.is_needed("group")


def test_no_group_is_begun_before_the_nodes_of_its_cluster_are_known(seats):
    """Their machines are not for it."""
    seats.expect("earlier", "cluster")
    begun = threading.Event()

    def begin():
        seats.begin("group", "cluster")
        begun.set()

    beginning = threading.Thread(target=begin)
    beginning.start()
    seats.begin("group-2", "cluster-2")
    assert not begun.is_set()
    seats.leave("earlier")
    assert begun.wait(PATIENCE_SECONDS)
    beginning.join()


@pytest.mark.parametrize("apart", [True, False])
def test_machines_that_others_of_the_cluster_have(apart):
    """They are not taken, nor may a node be moved there, where each is to have its own."""
    seats = Seats(apart=apart)
    assert seats.take_all(["one"], "cluster", "group", {0: "m1"})
    assert seats.take_all(["other"], "cluster-2", "group-2", {0: "m1"})
    assert seats.take_all(["two"], "cluster", "group-3", {0: "m1"}) is not apart
    assert seats.adopt("three", "cluster", facts("group-4", 0, "m1")) is not apart
    assert seats.adopt("four", "cluster", facts("group-4", 1, "m2"))
    assert seats.adopt("four", "cluster", facts("group-4", 1, "m2"))  # it says so again


def test_bundles_that_nodes_have_left(seats):
    """Those that have a machine, on which no other node of the cluster is."""
    machines = {0: "m1", 1: "m2", 2: "m3", 3: "m4"}
    seats.take_all(["one", "two", "three", "four"], "cluster", "group", machines)
    assert seats.take_free(["five"], "cluster", "group", machines) == {}
    for node_id in ("two", "three", "four"):
        seats.leave(node_id)
    seats.take_all(["other"], "cluster", "group-2", {0: "m2"})
    machines[2] = ""  # it has failed, and Ray has no other yet
    assert seats.take_free(["five", "six"], "cluster", "group", machines) == {"five": 3}
    assert seats.take_free(["six"], "cluster", "group", machines) == {}


def test_a_group_of_an_earlier_driver_is_looked_at_once(seats):
    """Nobody knows how many bundles it has; then, not again while all have nodes."""
    seats.adopt("one", "cluster", facts("group", 0, "m1"))
    assert seats.groups_with_room("cluster") == ["group"]
    assert seats.take_free(["two"], "cluster", "group", {0: "m1"}) == {}
    assert seats.groups_with_room("cluster") == []


def test_no_bundle_of_a_group_that_goes(seats):
    """It is being removed."""
    seats.take_all(["one"], "cluster", "group", {0: "m1"})
    seats.leave("one")
    assert seats.take_free(["two"], "cluster", "group", {0: "m1"}) == {}

"""How the driver makes nodes, loses and ends them, beside what the test takes for Ray."""

import queue
from concurrent.futures import Future

import pytest

from batchai_recipes.service.engines.engine import Machine
from batchai_recipes.service.engines.ray import fleet as module
from batchai_recipes.service.engines.ray.answers import Answers
from batchai_recipes.service.engines.ray.fleet import Fleet
from batchai_recipes.service.engines.ray.groups import Place
from batchai_recipes.service.engines.ray.messages import (
    EarlierNode,
    Gone,
    Home,
    NodeFacts,
    Up,
    WantedNode,
)
from batchai_recipes.service.engines.ray.options import RayOptions

PATIENCE_SECONDS = 30.0
FACTS = NodeFacts("10.0.0.1", "eth0", "machine", "group", sees_state=True)


def wanted(node_id, cluster="cluster"):
    """A node to be made."""
    return WantedNode(node_id, Machine(cluster), 0)


class Groups:
    """Has a place for each node; what it is asked for is the test's to see."""

    def __init__(self, strategy, patience_seconds, *, is_wanted, waits):
        self.asked = queue.SimpleQueue()
        self.given_back = queue.SimpleQueue()
        self.adopted = []

    def place(self, nodes):
        """Take note of who wants places together."""
        self.asked.put([node.node_id for node in nodes])
        return [Place(node, "group", None, 0, "machine") for node in nodes]

    def adopt(self, *arguments):
        """Take note."""
        self.adopted.append(arguments)

    def give_back(self, node_id):
        """Take note."""
        self.given_back.put(node_id)

    def sweep(self):
        """Have nothing to remove."""


class Actor:
    """A node that says what it is, or fails to."""

    def __init__(self, error=None):
        self.facts = self
        self.answer = Future()
        if error is None:
            self.answer.set_result(FACTS)
        else:
            self.answer.set_exception(error)

    def remote(self):
        """Ask it."""
        return self

    def future(self):
        """Return what it says."""
        return self.answer


class Followed:
    """The nodes that are followed."""

    def __init__(self):
        self.nodes = set()

    def follow(self, node_id, actor):
        """Follow one."""
        self.nodes.add(node_id)

    def forget(self, node_id):
        """Follow it no longer."""
        self.nodes.discard(node_id)


class Ray:
    """A fleet, what it makes, and what it says."""

    def __init__(self, monkeypatch):
        self.error = self.refusal = None
        self.named = {}
        self.made, self.killed = [], []
        self.sent = queue.SimpleQueue()
        monkeypatch.setattr(module, "Groups", Groups)
        monkeypatch.setattr(module, "find_actor", self.named.get)
        monkeypatch.setattr(module, "make_actor", self._make)
        monkeypatch.setattr(module, "actor_names", lambda: list(self.named))
        monkeypatch.setattr(module, "kill_actor", self.killed.append)
        monkeypatch.setattr(module, "end_actor", lambda actor, _: self.killed.append(actor))
        answers = Answers(self.sent.put)
        answers.start()
        self.followed = Followed()
        self.fleet = Fleet(
            Home("id", "/folder", "/probe", "/state"),
            RayOptions(),
            answers=answers,
            following=self.followed,
            send=self.sent.put,
        )
        self.groups = self.fleet._groups

    def _make(self, place, home):
        if self.refusal is not None:
            raise self.refusal
        self.made.append(place.node.node_id)
        return Actor(self.error)

    def said(self):
        """Wait for what the service is told."""
        return self.sent.get(timeout=PATIENCE_SECONDS)


@pytest.fixture
def ray(monkeypatch):
    """A fleet without nodes."""
    return Ray(monkeypatch)


def test_nodes_that_are_asked_for_together_get_one_group(ray):
    """And those of another cluster another."""
    for node in (wanted("one"), wanted("two"), wanted("other", "cluster-2")):
        ray.fleet.make(node)
    said = [ray.said() for _ in range(3)]
    assert {(type(each), each.node_id) for each in said} == {
        *((Up, "one"), (Up, "two"), (Up, "other")),
    }
    together = [ray.groups.asked.get_nowait() for _ in range(2)]
    assert sorted(together) == [["one", "two"], ["other"]]
    assert ray.followed.nodes == {"one", "two", "other"}


def test_a_node_that_is_asked_for_twice_is_made_once(ray):
    """As while a new driver is told which there are."""
    ray.fleet.make(wanted("one"))
    ray.fleet.make(wanted("one"))
    assert ray.said() == Up("one", FACTS)
    ray.fleet.make(wanted("one"))
    ray.fleet.make(wanted("two"))
    assert ray.said() == Up("two", FACTS)
    assert ray.made == ["one", "two"]


def test_one_that_was_made_for_a_service_that_died_is_taken_over(ray):
    """It never heard of it."""
    ray.named["one"] = Actor()
    ray.fleet.make(wanted("one"))
    assert ray.said() == Up("one", FACTS)
    assert (ray.made, ray.groups.asked.empty()) == ([], True)


def test_an_actor_that_ray_does_not_make(ray):
    """Its place is given back, and the service hears why."""
    ray.refusal = ValueError("the name is taken\nmore")
    ray.fleet.make(wanted("one"))
    told = ray.said()
    assert (told.node_id, told.placed) == ("one", False)
    assert told.why == "Ray made no actor for it: the name is taken"
    assert ray.groups.given_back.get_nowait() == "one"


def test_a_node_that_does_not_start(ray):
    """It is killed, for it might yet."""
    ray.error = RuntimeError("no room")
    ray.fleet.make(wanted("one"))
    assert ray.said() == Gone("one", "it did not start: no room")
    assert len(ray.killed) == 1
    assert ray.fleet.actor("one") is None


def test_a_node_that_was_released_before_it_had_a_place(ray):
    """Is not made."""
    ray.fleet.make(wanted("one"))
    ray.fleet.release("one")
    ray.fleet.make(wanted("two", "cluster-2"))
    assert ray.said() == Up("two", FACTS)
    assert ray.made == ["two"]


def test_a_node_that_an_earlier_driver_had(ray):
    """It is followed; one of which Ray knows nothing any more is lost."""
    ray.named["one"] = Actor()
    ray.fleet.adopt([EarlierNode(name, FACTS, "cluster") for name in ("one", "two")])
    assert ray.said() == Gone("two", "Ray has no actor of it any more")
    assert ray.followed.nodes == {"one"}


def test_an_earlier_drivers_place_is_known_before_another_in_its_group_is_lost(ray):
    """Or else the group, which seemed to be empty, would go with a node that lives."""
    ray.named["two"] = Actor()
    known = []
    ray.groups.give_back = lambda _: known.extend(node_id for node_id, *_ in ray.groups.adopted)
    ray.fleet.adopt([EarlierNode(name, FACTS, "cluster") for name in ("one", "two")])
    assert known == ["one", "two"]


def test_what_nobody_knows_is_ended(ray):
    """A node of the service that it does not name, nor has asked for since."""
    ray.named.update(known=Actor(), unknown=Actor())
    ray.named["asked-for"] = Actor()
    ray.fleet.make(wanted("asked-for"))
    ray.said()
    ray.fleet.sweep({"known"})
    ray.fleet.wait_for_ends()
    assert ray.killed == [ray.named["unknown"]]


def test_a_service_that_will_not_come_back_leaves_nothing(ray):
    """All its nodes end."""
    ray.named.update(one=Actor())
    ray.fleet.adopt([EarlierNode("one", FACTS, "cluster")])
    ray.fleet.leave()
    ray.fleet.wait_for_ends()
    assert ray.killed == [ray.named["one"]]

"""How the driver makes nodes, loses and ends them, beside what the test takes for Ray."""

import queue
import threading
from concurrent.futures import Future

import pytest

from batchai_recipes.service.engines.engine import Machine
from batchai_recipes.service.engines.ray import fleet as module
from batchai_recipes.service.engines.ray.answers import Answers, later
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
NEVER = object()
FACTS = NodeFacts("10.0.0.1", "eth0", "machine", "group", sees_state=True)


def wanted(node_id, cluster="cluster"):
    """A node to be made."""
    return WantedNode(node_id, Machine(cluster), 0)


class InitError(Exception):
    """As Ray says that an actor's own beginning failed."""

    actor_init_failed = True


class ActorUnavailableError(Exception):
    """As Ray's: it may be there nevertheless."""


class Groups:
    """Has a place for each node; what it is asked for is the test's to see."""

    def __init__(self, strategy, patience_seconds, *, is_wanted, waits):
        self.asked = queue.SimpleQueue()
        self.given_back = queue.SimpleQueue()
        self.adopted = []
        self.expected = set()
        self.is_cleared = False

    def expect(self, node_id, cluster_uid):
        """Take note."""
        self.expected.add(node_id)

    def expects(self, node_id):
        """Tell whether an earlier driver may have made it."""
        return node_id in self.expected

    def tidy(self):
        """Have nothing to remove."""

    def place(self, nodes):
        """Take note of who wants places together."""
        self.asked.put([node.node_id for node in nodes])
        return [Place(node, "group", None, 0, "machine") for node in nodes]

    def adopt(self, *arguments):
        """Take note; it may be there."""
        self.adopted.append(arguments)
        return True

    def give_back(self, node_id):
        """Take note."""
        self.given_back.put(node_id)

    def sweep(self):
        """Have nothing to remove."""

    def clear(self):
        """Take note."""
        self.expected.clear()
        self.is_cleared = True


class Actor:
    """A node that says what it is, or fails to."""

    def __init__(self, error=None):
        self.facts = self
        self.answer, self.asked = Future(), threading.Event()
        if error is None:
            self.answer.set_result(FACTS)
        elif error is not NEVER:
            self.answer.set_exception(error)

    def remote(self):
        """Ask it."""
        return self

    def future(self):
        """Return what it says."""
        self.asked.set()
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
        self.now = 0.0
        self.named = {}
        self.made, self.killed = [], []
        self.later = queue.SimpleQueue()
        self.sent, self.actors = queue.SimpleQueue(), queue.SimpleQueue()
        monkeypatch.setattr(module, "Groups", Groups)
        monkeypatch.setattr(module, "later", self._later)
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
            monotonic=lambda: self.now,
        )
        self.groups = self.fleet._groups

    def _later(self, seconds, function, *arguments):
        """Gather at once; what is tried again waits for the test."""
        if seconds < 1:
            later(seconds, function, *arguments)
        else:
            self.later.put(lambda: function(*arguments))

    def _make(self, place, home):
        if self.refusal is not None:
            raise self.refusal
        self.made.append(place.node.node_id)
        self.actors.put(actor := Actor(self.error))
        return actor

    def said(self):
        """Wait for what the service is told."""
        return self.sent.get(timeout=PATIENCE_SECONDS)


@pytest.fixture
def new_ray(monkeypatch):
    """A fleet that has not been told which nodes there were."""
    return Ray(monkeypatch)


@pytest.fixture
def ray(new_ray):
    """A fleet without nodes."""
    new_ray.fleet.sweep(set())
    new_ray.fleet.wait_for_ends()
    return new_ray


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


def test_one_that_was_made_for_a_service_that_died_is_taken_over(new_ray):
    """It never heard of it. Nothing is made before all that there was is known."""
    new_ray.named["one"] = Actor()
    new_ray.fleet.make(wanted("one"))
    new_ray.fleet.make(wanted("two"))
    new_ray.fleet.sweep({"one", "two"})
    assert {each.node_id for each in (new_ray.said(), new_ray.said())} == {"one", "two"}
    assert (new_ray.made, new_ray.groups.asked.get_nowait()) == (["two"], ["two"])


def test_one_that_ray_cannot_find_for_a_moment(new_ray, monkeypatch):
    """It is looked for again: there may be one, which is not made beside it."""
    new_ray.named["one"] = Actor()

    def no_answer(_):
        raise RuntimeError("no answer")

    with monkeypatch.context() as patch:
        patch.setattr(module, "find_actor", no_answer)
        new_ray.fleet.make(wanted("one"))
        new_ray.fleet.sweep({"one"})
        again = new_ray.later.get(timeout=PATIENCE_SECONDS)
    again()
    assert (new_ray.said(), new_ray.made) == (Up("one", FACTS), [])


def test_one_that_was_made_before_and_is_not_wanted_any_more_is_ended(new_ray):
    """Though it was released before it was found."""
    new_ray.named["one"] = Actor()
    new_ray.fleet.make(wanted("one"))
    new_ray.fleet.release("one")
    new_ray.fleet.sweep({"one"})
    new_ray.fleet.make(wanted("two"))
    assert new_ray.said() == Up("two", FACTS)
    new_ray.fleet.wait_for_ends()
    assert new_ray.killed == [new_ray.named["one"]]


def test_an_actor_that_ray_does_not_make(ray):
    """Its place is given back, and the service hears why."""
    ray.refusal = ValueError("the name is taken\nmore")
    ray.fleet.make(wanted("one"))
    told = ray.said()
    assert (told.node_id, told.placed) == ("one", False)
    assert told.why == "Ray made no actor for it: the name is taken"
    assert ray.groups.given_back.get_nowait() == "one"


def test_a_node_that_does_not_start(ray):
    """It could not begin, and could not elsewhere."""
    ray.error = InitError("no room")
    ray.fleet.make(wanted("one"))
    assert ray.said() == Gone("one", "it did not start: no room")
    assert len(ray.killed) == 1
    assert ray.fleet.actor("one") is None


def test_a_node_whose_machine_is_lost_before_it_starts(ray):
    """It is made again, in another place: nobody has heard of it yet."""
    ray.error = RuntimeError("its machine is dead")
    ray.fleet.make(wanted("one"))
    assert ray.actors.get(timeout=PATIENCE_SECONDS).asked.wait(PATIENCE_SECONDS)
    ray.error = None
    ray.later.get(timeout=PATIENCE_SECONDS)()
    assert ray.said() == Up("one", FACTS)
    assert ray.groups.given_back.get_nowait() == "one"
    assert (ray.made, ray.killed) == (["one", "one"], [])


def test_a_node_that_cannot_be_asked_for_a_moment(ray):
    """It is asked again, and not ended."""
    ray.error = ActorUnavailableError()
    ray.fleet.make(wanted("one"))
    actor = ray.actors.get(timeout=PATIENCE_SECONDS)
    again = ray.later.get(timeout=PATIENCE_SECONDS)
    actor.answer = Future()
    actor.answer.set_result(FACTS)
    again()
    assert ray.said() == Up("one", FACTS)
    assert (ray.made, ray.killed) == (["one"], [])


def test_a_node_that_never_starts(ray):
    """It is given up after the patience that it had for a machine, which may have failed."""
    ray.error = NEVER
    ray.fleet.make(wanted("one"))
    assert ray.actors.get(timeout=PATIENCE_SECONDS).asked.wait(PATIENCE_SECONDS)
    ray.now = RayOptions().patience_seconds
    ray.fleet.look()
    assert ray.sent.empty()
    ray.now += 1
    ray.fleet.look()
    assert ray.said() == Gone("one", "it has not started in 600 s")
    assert len(ray.killed) == 1


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
    assert ray.groups.is_cleared

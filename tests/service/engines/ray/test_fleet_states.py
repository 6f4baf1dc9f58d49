"""Drivers come and go, machines and nodes are lost, in any order: what becomes of the wanted."""

import sys
import tempfile
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from simulated_ray import Answers, Line, Ray, World

from batchai_recipes.service.engines.engine import Machine
from batchai_recipes.service.engines.ray import (
    actors,
    calls,
    driver,
    fleet,
    following,
    groups,
    seats,
)
from batchai_recipes.service.engines.ray.hearing import Hearing
from batchai_recipes.service.engines.ray.messages import (
    Failed,
    Gone,
    Home,
    NodeFacts,
    WantedNode,
)
from batchai_recipes.service.engines.ray.nodes import KnownNodes
from batchai_recipes.service.engines.ray.options import RayOptions
from batchai_recipes.service.engines.ray.roster import Roster

PATIENCE_SECONDS = 20.0
CHOICE = st.integers(0, 7)


class Link:
    """Leads to the driver, if there is one."""

    def __init__(self):
        self.inbox = None

    def send(self, message):
        """Tell it something."""
        if self.inbox is None:
            return False
        self.inbox.put(message)
        return True

    def tell(self, *_):
        """Have a node do something: not here."""


class Service:
    """What a service knows of its nodes, and what it hears."""

    def __init__(self, folder, lost):
        self.link = Link()
        self.nodes = KnownNodes(folder)
        self.nodes.load()
        self.roster = Roster(self.nodes, self.link)
        self._lost = lost
        self._hearing = Hearing(
            self.nodes,
            SimpleNamespace(begin_driver=lambda: None),
            self.roster,
            self.link,
            outage=SimpleNamespace(is_over=lambda: None, goes_on=lambda why: False),
            notify=lambda *_: None,
        )

    def hear(self, message):
        """Hear the driver."""
        if isinstance(message, Gone):
            before = self.nodes.find(message.node_id)
            was_living = before is not None and before.is_living
            self._hearing.hear(message)
            if was_living and not before.is_living:
                self._lost(message)
        else:
            self._hearing.hear(message)


class Clusters(RuleBasedStateMachine):
    """Some clusters of a service, its drivers, and Ray."""

    strategy = "STRICT_SPREAD"

    def __init__(self):
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        self.folder = tempfile.TemporaryDirectory()
        self.world = World()
        self.ray = Ray(self.world, tell_facts=self._facts, ended=self._ended)
        self._patch()
        for _ in range(3):
            self.ray.add_machine(2)
        self.number = 0
        self.told_lost, self.problems = Counter(), []
        self.program = None
        self.outbox = Line(self.world)
        self.service = self._new_service()
        self._begin_driver()

    def teardown(self):
        """Bring everything to rest, and look at what is there."""
        try:
            if not self.problems:
                self.rest()
        finally:
            if self.program is not None:
                self.program.kill()
            self.patch.undo()
            self.folder.cleanup()

    # The service and its drivers.

    @rule(cluster=st.sampled_from(["a", "b"]), count=st.integers(1, 3))
    def want(self, cluster, count):
        """A cluster gets some more nodes."""
        for _ in range(count):
            if sum(n.startswith(cluster) for n in self.service.nodes.living()) < 3:
                self.number += 1
                node_id = f"{cluster}-{self.number}"
                self.service.roster.want(WantedNode(node_id, Machine(cluster), 0))

    @rule(choice=CHOICE)
    def release(self, choice):
        """A node is not wanted any more."""
        known = list(self.service.nodes._nodes)
        if known:
            self.service.roster.release(known[choice % len(known)])

    @rule(count=st.integers(1, 5))
    def hear(self, count):
        """The service hears what the driver has said."""
        for _ in range(count):
            if self.outbox.messages:
                self.service.hear(self.outbox.messages.pop(0))

    @rule(with_service=st.booleans())
    def lose_driver(self, with_service):
        """The driver ends: what it has said is heard, or lost where the service was killed."""
        if self.program is None:
            return
        self.program.kill()
        self.program = None
        self.service.link.inbox = None
        if with_service:
            self.outbox.messages.clear()
            self.service = self._new_service()
        else:
            self.hear(len(self.outbox.messages))
            self.service.hear(Failed("the driver of Ray ended"))

    @rule(with_service=st.booleans(), hears=st.booleans())
    def begin_driver(self, with_service, hears):
        """A driver takes the place of the one before, and may be told at once of what there is."""
        self.lose_driver(with_service)
        self._begin_driver()
        if hears:
            self.run_on()
            self.hear(1)

    @rule(choices=st.lists(CHOICE, min_size=1, max_size=12))
    def run(self, choices):
        """The driver's threads go on, in some order."""
        for choice in choices:
            if runnable := self.world.runnable():
                self.world.step(runnable[choice % len(runnable)])

    @rule()
    def run_on(self):
        """The driver's threads go on as far as they can."""
        while runnable := self.world.runnable():
            self.world.step(runnable[0])

    @rule(hears=st.booleans(), told=st.sampled_from([0, 1, 1, 2, 9]), rounds=st.integers(1, 4))
    def progress(self, hears, told, rounds):
        """All goes on for a while as it should, but for what is on its way."""
        for _ in range(rounds):
            self.run_on()
            self.world.now += 0.05
            self.run_on()
            self.ray.schedule()
            for call in self._due()[:told]:
                self.ray.do(call)
                self.ray.tell(call)
            if hears:
                self.hear(len(self.outbox.messages))

    @rule(seconds=st.sampled_from([0.05, 1.0, 16.0]))
    def wait(self, seconds):
        """Time passes."""
        self.world.now += seconds

    # Ray.

    @rule(choice=CHOICE)
    def schedule(self, choice):
        """Ray places what waits."""
        self.ray.schedule(choice)

    @rule(choice=CHOICE)
    def do(self, choice):
        """A node does what it was asked."""
        if due := self._due():
            self.ray.do(due[choice % len(due)])

    @rule(choice=CHOICE)
    def tell(self, choice):
        """An answer arrives."""
        if due := [call for call in self.ray.calls if call.result is not None]:
            self.ray.tell(due[choice % len(due)])

    @rule(choice=CHOICE)
    def lose_actor(self, choice):
        """A node's process dies."""
        if alive := self.ray.alive():
            self.ray.lose_actor(alive[choice % len(alive)])

    @rule(choice=CHOICE)
    def replace_machine(self, choice):
        """A machine fails; another joins."""
        self.ray.lose_machine(self.ray.machines[choice % len(self.ray.machines)])
        self.ray.add_machine(2)

    @invariant()
    def nothing_is_wrong(self):
        """No wanted node is ended, and what is said of others is so; each has its machine."""
        assert self.problems == []
        if self.strategy == "STRICT_SPREAD":
            machines = [
                (actor.cluster, actor.machine)
                for actor in self.ray.alive()
                if (known := self.service.nodes.find(actor.name)) and known.is_living
                if known.facts is not None
            ]
            assert len(machines) == len(set(machines))

    @rule()
    def rest(self):
        """Nothing more happens: each node is there or given up, and nobody else is."""
        self._come_to_rest()
        living = self.service.nodes.living()
        assert all(count == 1 for count in self.told_lost.values()), self.told_lost
        alive = {actor.name: actor for actor in self.ray.living()}
        assert len(alive) == len(self.ray.living())
        assert set(alive) == set(living)
        for node_id, known in living.items():
            assert known.facts == self._facts(alive[node_id])
        self.nothing_is_wrong()
        used = {actor.group for actor in alive.values()}
        assert used == set(self.ray.present())

    # What is behind that.

    def _come_to_rest(self):
        if self.program is None:
            self._begin_driver()
        quiet_until = self.world.now + 5 * PATIENCE_SECONDS
        while self.world.now < quiet_until:
            if self._go_on():
                quiet_until = max(quiet_until, self.world.now + 2 * PATIENCE_SECONDS)
            self.world.now += 1.0

    def _go_on(self):
        """Let everything happen that can; say whether the service heard anything."""
        heard = False
        while True:
            self.run_on()
            changed = self.ray.schedule()
            for call in list(self.ray.calls):
                if call.can_be_done:
                    self.ray.do(call)
                if call.result is not None:
                    self.ray.tell(call)
                    changed = True
            if self.outbox.messages:
                heard = changed = True
                self.hear(len(self.outbox.messages))
            if not changed and not self.world.runnable():
                return heard

    def _due(self):
        return [call for call in self.ray.calls if call.can_be_done]

    def _new_service(self):
        return Service(Path(self.folder.name), self._lost)

    def _begin_driver(self):
        self.program = self.world.program()
        self.service.link.inbox = Line(self.world)
        self.program.start(self._drive, self.service.link.inbox)

    def _drive(self, inbox):
        made = driver.Driver(
            SimpleNamespace(send=self.outbox.put),
            inbox,
            Home("id", "/folder", "/probe", "/state"),
            RayOptions(strategy=self.strategy, patience_seconds=PATIENCE_SECONDS),
        )
        made.run()

    def _facts(self, actor):
        machine_id, group, bundle = actor.facts()
        return NodeFacts("10.0.0.1", "eth0", machine_id, group, sees_state=True, bundle=bundle)

    def _ended(self, actor):
        """A driver ends a node: it is none that is wanted."""
        known = self.service.nodes.find(actor.name)
        if known is not None and known.is_living:
            self.problems.append(f"{actor.name} was wanted, and was ended")

    def _lost(self, told):
        """A node is told to be no more, for a reason."""
        reasons = ("Ray has no actor of it", "Ray had no machine")
        if not told.why.startswith((*reasons, "The actor is dead")):
            self.problems.append(told)
        self.told_lost[told.node_id] += 1

    def _patch(self):
        for name, stand_in in self.ray.modules().items():
            self.patch.setitem(sys.modules, name, stand_in)
        threading = self.world.threading()
        for module in (fleet, following, seats, driver):
            self.patch.setattr(module, "threading", threading)
        for module in (fleet, following, calls):
            self.patch.setattr(module, "later", self.world.later)
        clock = SimpleNamespace(monotonic=lambda: self.world.now)
        for module in (fleet, groups):
            self.patch.setattr(module, "time", clock)
        self.patch.setattr(actors, "actor_class", self.ray.actor_class)
        self.patch.setattr(driver, "Answers", lambda _: Answers(self.world))
        self.patch.setattr(driver, "Head", lambda **_: SimpleNamespace(watch=lambda: None))


Clusters.TestCase.settings = settings(
    max_examples=120, stateful_step_count=60, deadline=None, suppress_health_check=[*HealthCheck]
)
TestClusters = Clusters.TestCase


class ClustersTogether(Clusters):
    """Clusters whose nodes share machines."""

    strategy = "PACK"


ClustersTogether.TestCase.settings = settings(Clusters.TestCase.settings, max_examples=40)
TestClustersTogether = ClustersTogether.TestCase


@pytest.fixture
def clusters():
    """Clusters, which are at rest in the end."""
    made = Clusters()
    yield made
    made.teardown()


def test_what_an_earlier_driver_made_is_known_before_groups_are_removed(clusters):
    """The service was killed before it heard of its node, which has not said where it is."""
    clusters.want("a", 2)
    clusters.progress(hears=True, told=0, rounds=4)
    assert len(clusters.ray.alive()) == 2
    clusters.begin_driver(with_service=True, hears=True)
    clusters.progress(hears=True, told=0, rounds=4)
    assert [actor.name for actor in clusters.ray.alive()] == ["a-1", "a-2"]


def test_what_shares_a_group_with_a_lost_node_lives(clusters):
    """Though the next driver hears of the lost one, and does not know where the other is."""
    clusters.want("a", 2)
    clusters.progress(hears=True, told=0, rounds=4)
    first, second = clusters.ray.alive()
    for call in [call for call in clusters.ray.calls if call.actor is first]:
        clusters.ray.do(call)
        clusters.ray.tell(call)
    clusters.progress(hears=True, told=0, rounds=1)
    clusters.lose_driver(with_service=False)
    clusters.ray.lose_actor(first)
    clusters.rest()
    assert clusters.ray.alive() == [second]


def test_no_node_is_made_before_it_is_known_where_its_cluster_has_some(clusters):
    """Or it would come to the machine of one that an earlier driver made."""
    clusters.want("a", 1)
    clusters.progress(hears=True, told=0, rounds=4)
    clusters.lose_driver(with_service=True)
    clusters.want("a", 2)
    clusters.begin_driver(with_service=False, hears=True)
    clusters.progress(hears=True, told=0, rounds=4)
    assert [group.is_removed for group in clusters.ray.groups] == [False]
    clusters.progress(hears=True, told=9, rounds=6)
    assert len({actor.machine for actor in clusters.ray.alive()}) == 3


def test_the_place_of_a_lost_node_is_the_next_ones_where_machines_are_full(clusters):
    """Ray keeps it for the group as long as others are in that."""
    for machine in clusters.ray.machines:
        machine.room = 1
    clusters.want("a", 3)
    clusters.rest()
    (group,) = clusters.ray.present()
    clusters.ray.lose_actor(clusters.ray.alive()[1])
    clusters.rest()
    clusters.want("a", 1)
    clusters.rest()
    assert sorted(clusters.service.nodes.living()) == ["a-1", "a-3", "a-4"]
    assert clusters.ray.present() == [group]

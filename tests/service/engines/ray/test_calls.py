"""What the driver asks nodes for a service, and what it says of those that cannot be asked."""

from concurrent.futures import Future
from types import SimpleNamespace

import pytest

from batchai_recipes.service.engines.ray import calls as module
from batchai_recipes.service.engines.ray.calls import Calls
from batchai_recipes.service.engines.ray.messages import Answer, Call, Refusal

CALL = Call(7, "node", "launch", ("task",))


class ActorUnavailableError(Exception):
    """As Ray's: it may be there nevertheless."""


class RayTaskError(Exception):
    """As Ray's: the method raised something."""

    def __init__(self, cause):
        super().__init__("ray::NodeActor.launch()\nmuch more")
        self.cause = cause


class Node:
    """A node that answers as the test says, and the service, which hears of it."""

    def __init__(self, monkeypatch):
        self.asked, self.said, self.retries, self.is_there = [], [], [], True
        monkeypatch.setattr(module, "later", lambda _, again: self.retries.append(again))
        ask = SimpleNamespace(ask=lambda asked, told: asked.add_done_callback(told))
        self.calls = Calls(actor=self._actor, answers=ask, send=self.said.append)

    def _actor(self, _):
        return SimpleNamespace(launch=SimpleNamespace(remote=self._ask)) if self.is_there else None

    def _ask(self, *arguments):
        self.asked.append((arguments, Future()))
        return self.asked[-1][1]

    def answers(self, answer):
        """Let the last call be answered."""
        _, future = self.asked[-1]
        if isinstance(answer, Exception):
            future.set_exception(answer)
        else:
            future.set_result(answer)


@pytest.fixture
def node(monkeypatch):
    """A node."""
    return Node(monkeypatch)


def test_what_a_node_answers(node):
    """The service is told."""
    node.calls.make(CALL)
    node.answers("well")
    assert node.asked[0][0] == ("task",)
    assert node.said == [Answer(7, "well")]


def test_a_node_that_is_gone_has_not_heard(node):
    """So that what it was asked can be asked of another."""
    node.is_there = False
    node.calls.make(CALL)
    assert node.said == [Answer(7, unreachable="the node is gone", unheard=True)]


def test_a_node_that_dies_may_have_heard(node):
    """Nobody knows."""
    node.calls.make(CALL)
    node.answers(RuntimeError("The actor died"))
    assert node.said == [Answer(7, unreachable="The actor died")]


def test_a_node_that_is_gone_when_it_is_asked_again_may_have_heard(node):
    """The first time."""
    node.calls.make(CALL)
    node.answers(ActorUnavailableError())
    node.is_there = False
    (again,) = node.retries
    again()
    assert node.said == [Answer(7, unreachable="the node is gone")]


def test_a_node_that_cannot_do_it_refuses(node):
    """It will not do it later: without an answer a job would count as begun for ever."""
    node.calls.make(CALL)
    node.answers(RayTaskError(OSError(28, "No space left on device")))
    why = "Node node failed: OSError(28, 'No space left on device')"
    assert node.said == [Answer(7, Refusal("EngineError", why))]


def test_nobody_waits_for_an_answer_without_a_number(node):
    """Nor is one sent."""
    node.is_there = False
    node.calls.make(Call(0, "node", "launch", ()))
    assert node.said == []

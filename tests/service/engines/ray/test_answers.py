"""What becomes of Ray's answers in the driver, and what the service is told of them."""

import queue
from concurrent.futures import Future

import pytest

from batchai_recipes.service.engines.ray.answers import Answers
from batchai_recipes.service.engines.ray.calls import Calls
from batchai_recipes.service.engines.ray.messages import Answer, Call

PATIENCE_SECONDS = 30.0


class Reference:
    """Ray's reference to an answer, which the test gives."""

    def __init__(self):
        self.answer = Future()

    def future(self):
        """Return what it will be."""
        return self.answer


class ActorUnavailableError(Exception):
    """Has the name of Ray's own, for a node that cannot be reached at the moment."""


class Node:
    """The actor of a node, which has one method."""

    def __init__(self):
        self.asked = queue.SimpleQueue()
        self.ports = self

    def remote(self, *arguments):
        """Take note of a call."""
        reference = Reference()
        self.asked.put((arguments, reference.answer))
        return reference

    def call(self):
        """Wait for a call, and return its arguments and what is to be its answer."""
        return self.asked.get(timeout=PATIENCE_SECONDS)


@pytest.fixture
def failed():
    """What the driver ended for."""
    return queue.SimpleQueue()


@pytest.fixture
def answers(failed):
    """Answers that are handed out."""
    answers = Answers(failed.put)
    answers.start()
    return answers


@pytest.fixture
def sent():
    """What the service is told."""
    return queue.SimpleQueue()


def test_whoever_waits_for_an_answer_does_not_keep_ray_waiting(answers):
    """It is called in another thread, in which it may ask and wait."""
    first, second, told = Reference(), Reference(), queue.SimpleQueue()
    answers.ask(first, lambda _: answers.ask(second, told.put))
    first.answer.set_result("one")
    second.answer.set_result("two")
    assert told.get(timeout=PATIENCE_SECONDS).result() == "two"


def test_an_answer_that_cannot_be_taken_in_ends_the_driver(answers, failed):
    """It would be deaf: the next one is told everything anew."""
    reference = Reference()
    answers.ask(reference, lambda _: 1 / 0)
    reference.answer.set_result(None)
    assert "ZeroDivisionError" in failed.get(timeout=PATIENCE_SECONDS)


def test_a_node_that_cannot_be_reached_is_asked_again(answers, sent):
    """The service hears the answer only."""
    node = Node()
    calls = Calls(actor=lambda _: node, answers=answers, send=sent.put)
    calls.make(Call(7, "node", "ports", ("run", 2)))
    node.call()[1].set_exception(ActorUnavailableError())
    arguments, answer = node.call()
    answer.set_result((1, 2))
    assert arguments == ("run", 2)
    assert sent.get(timeout=PATIENCE_SECONDS) == Answer(7, (1, 2))
    assert sent.empty()


def test_a_node_that_is_dead_is_not(answers, sent):
    """Its service hears in one line what Ray says of it."""
    node = Node()
    calls = Calls(actor=lambda _: node, answers=answers, send=sent.put)
    calls.make(Call(7, "node", "ports", ()))
    node.call()[1].set_exception(RuntimeError("failed\nThe actor is dead because of x\nmore"))
    answer = sent.get(timeout=PATIENCE_SECONDS)
    assert answer == Answer(7, unreachable="The actor is dead because of x")

"""The service's end of a driver, whose other end is the test's."""

import threading
from multiprocessing import Pipe

import pytest

from batchai_recipes.service.engines.ray.driver_link import DriverLink
from batchai_recipes.service.engines.ray.messages import Answer, Call, Connected, Home
from batchai_recipes.service.engines.ray.options import RayOptions

PATIENCE_SECONDS = 30.0


class Driver:
    """A link, and the other end of it."""

    def __init__(self, log):
        self.connected = threading.Event()
        self.answers = []
        self.link = DriverLink(
            Home("id", "/folder", "/probe", "/state"),
            RayOptions(),
            log,
            lambda _: self.connected.set(),
        )
        here, self.end = Pipe()
        self.listening = threading.Thread(target=self.link._listen, args=(here,))

    def connect(self):
        """Find Ray."""
        self.listening.start()
        self.end.send(Connected())
        assert self.connected.wait(PATIENCE_SECONDS)

    def leave(self):
        """End, and wait until the service has taken note of that."""
        self.end.close()
        self.listening.join(PATIENCE_SECONDS)

    def ask(self, node_id):
        """Ask a node; what it answers is taken note of."""
        self.link.ask(node_id, "ports", "run", 1, answered=self.answers.append)


@pytest.fixture
def driver(tmp_path):
    """A driver that has not found Ray."""
    return Driver(tmp_path / "log")


def test_each_is_told_of_its_own_answer(driver):
    """Whatever the order in which they come."""
    driver.connect()
    driver.ask("one")
    driver.ask("two")
    calls = [driver.end.recv() for _ in range(2)]
    assert [(call.node_id, call.method, call.arguments) for call in calls] == [
        ("one", "ports", ("run", 1)),
        ("two", "ports", ("run", 1)),
    ]
    for call in reversed(calls):
        driver.end.send(Answer(call.number, call.node_id))
        driver.end.send(Answer(call.number, "once more"))
    driver.leave()
    assert [answer.value for answer in driver.answers] == ["two", "one"]


def test_what_is_not_told_is_not_answered(driver):
    """Nobody waits for it."""
    driver.connect()
    driver.link.tell("node", "terminate", "job", "run", "name")
    assert driver.end.recv() == Call(0, "node", "terminate", ("job", "run", "name"))
    driver.leave()
    assert driver.answers == []


def test_a_driver_that_ends_answers_for_all(driver):
    """None of whom was reached, as far as anybody knows."""
    driver.connect()
    driver.ask("one")
    driver.ask("two")
    driver.leave()
    assert [answer.unreachable for answer in driver.answers] == ["Ray's driver ended"] * 2


def test_without_a_driver_the_answer_is_there_at_once(driver):
    """Nobody waits for the next."""
    driver.ask("node")
    (answer,) = driver.answers
    assert "cannot be reached" in answer.unreachable

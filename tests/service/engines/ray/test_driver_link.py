"""The service's end of a driver, whose other end is the test's."""

import threading
from multiprocessing import Pipe

import pytest

from batchai_recipes.service.engines.engine import EngineError
from batchai_recipes.service.engines.ray.driver_link import DriverLink
from batchai_recipes.service.engines.ray.messages import Answer, Call, Connected, Home, Waits
from batchai_recipes.service.engines.ray.options import RayOptions

PATIENCE_SECONDS = 30.0


class Driver:
    """A link, and the other end of it."""

    def __init__(self, log):
        self.connected = threading.Event()
        self.answers, self.early, self.error = [], None, None
        self.link = DriverLink(
            Home("id", "/folder", "/probe", "/state"),
            RayOptions(),
            log,
            self._hear,
        )
        here, self.end = Pipe()
        self.listening = threading.Thread(target=self.link._listen, args=(here,))

    def _hear(self, message):
        if self.error is not None:
            raise self.error
        if message == Connected():
            self.ask("too early")
            self.link.send("these are the nodes")
        else:
            self.connected.set()

    def connect(self):
        """Find Ray, and go on once the service has said which nodes there are."""
        self.listening.start()
        self.end.send(Connected())
        assert self.end.recv() == "these are the nodes"
        self.early = self.answers.pop()
        self.end.send("more")
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


def test_no_node_is_asked_before_the_driver_knows_it(driver):
    """A driver that has not been told of a node yet would say that it is gone."""
    driver.connect()
    driver.leave()
    assert "cannot be reached" in driver.early.unreachable
    assert driver.early.unheard


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
    assert answer.unheard


def test_what_cannot_be_taken_in_ends_the_driver(driver, caplog):
    """The disk is full, say: the next driver is told everything anew, and nobody waits for this."""
    driver.connect()
    driver.ask("node")
    driver.error = EngineError("The disk is full")
    driver.end.recv()
    driver.end.send(Waits("node", "a machine"))
    driver.listening.join(PATIENCE_SECONDS)
    assert not driver.listening.is_alive()
    assert [answer.unreachable for answer in driver.answers] == ["Ray's driver ended"]
    assert "The disk is full" in caplog.text
    assert not driver.link.send("more")

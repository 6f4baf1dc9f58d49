"""How the driver follows nodes that answer, fail, or are silent."""

from concurrent.futures import Future

import pytest

from batchai_recipes.service.engines.engine import Running
from batchai_recipes.service.engines.ray.following import Following
from batchai_recipes.service.engines.ray.messages import Changes
from batchai_recipes.service.engines.ray.service_shares import ServiceShares
from batchai_recipes.service.engines.ray.share_copies import Piece

RUN = ("job", "uid.1")
PATIENCE_SECONDS = 60.0


class Method:
    """A method of an actor of Ray: its calls are answered by the test."""

    def __init__(self):
        self.calls = []

    def remote(self, *arguments):
        """Call it."""
        answer = Future()
        self.calls.append((arguments, answer))
        return answer


class Actor:
    """A node, whose answers are the test's."""

    def __init__(self):
        self.changes, self.facts, self.supply = Method(), Method(), Method()


class Heard:
    """What the driver would tell its service, and a clock that is moved by hand."""

    def __init__(self, folder):
        self.now = 1000.0
        self.changed = []
        self.lost = []
        self.following = Following(
            ServiceShares(folder),
            ask=lambda asked, told: asked.add_done_callback(told),
            changed=lambda node_id, changes: self.changed.append((node_id, changes.tasks)),
            lost=self._lose,
            patience_seconds=PATIENCE_SECONDS,
            monotonic=lambda: self.now,
        )

    def _lose(self, node_id, why):
        self.following.forget(node_id)
        self.lost.append((node_id, why))

    def after(self, seconds):
        """Look again after some time."""
        self.now += seconds
        self.following.look()


@pytest.fixture
def heard(tmp_path):
    """What the driver would tell its service."""
    return Heard(tmp_path)


def test_a_request_follows_each_answer(heard):
    """Each says what has arrived, and is to be answered well within the patience."""
    actor = Actor()
    heard.following.follow("node", actor)
    tasks = {RUN: {"process-0": Running()}}
    actor.changes.calls[0][1].set_result(Changes(tasks, 7))
    (follower, received, seconds), _ = actor.changes.calls[1]
    assert (actor.changes.calls[0][0][:2], received) == ((follower, 0), 7)
    assert seconds < PATIENCE_SECONDS / 2
    assert heard.changed == [("node", tasks)]


def test_a_dead_node_is_lost(heard):
    """With what Ray says of it."""
    actor = Actor()
    heard.following.follow("node", actor)
    actor.changes.calls[0][1].set_exception(RuntimeError("The actor died.\nSo it is"))
    assert heard.lost == [("node", "The actor died.")]


def test_a_silent_node_is_lost(heard):
    """Its process is stopped: neither its news nor a sign of life comes."""
    actor = Actor()
    heard.following.follow("node", actor)
    heard.after(PATIENCE_SECONDS / 2 + 1)
    assert len(actor.facts.calls) == 1
    heard.after(PATIENCE_SECONDS / 2)
    assert heard.lost == []
    heard.after(1)
    assert heard.lost == [("node", "it has been silent for 60 s")]


def test_what_a_lost_node_says_late_does_not_count(heard):
    """It goes on after its service has given it up."""
    actor = Actor()
    heard.following.follow("node", actor)
    heard.after(PATIENCE_SECONDS)
    heard.after(PATIENCE_SECONDS)
    actor.changes.calls[0][1].set_result(Changes({RUN: {"process-0": Running()}}, 1))
    actor.facts.calls[0][1].set_result(None)
    assert (heard.changed, len(heard.lost), len(actor.changes.calls)) == ([], 1, 1)


def test_a_busy_node_is_not_lost(heard):
    """It answers that it is there, though not what is new."""
    actor = Actor()
    heard.following.follow("node", actor)
    for _ in range(10):
        heard.after(PATIENCE_SECONDS / 2 + 1)
        actor.facts.calls[-1][1].set_result(None)
    assert heard.lost == []


def test_a_node_that_answers_is_not_asked_for_more(heard):
    """Whether or not it has news."""
    actor = Actor()
    heard.following.follow("node", actor)
    for _ in range(10):
        heard.after(PATIENCE_SECONDS / 3)
        actor.changes.calls[-1][1].set_result(Changes())
    assert (heard.lost, actor.facts.calls) == ([], [])


def test_what_is_written_is_there_before_its_task_has_ended(heard, tmp_path):
    """Nobody is told of an end whose output is still to come."""
    (tmp_path / "account" / "share").mkdir(parents=True)
    actor = Actor()
    heard.following.follow("node", actor)
    piece = Piece(str(tmp_path / "account" / "share"), "out.txt", 0, b"text")
    actor.changes.calls[0][1].set_result(Changes({}, 1, shares=(piece,)))
    assert (tmp_path / "account" / "share" / "out.txt").read_text() == "text"
    assert heard.changed == []

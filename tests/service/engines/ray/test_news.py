"""What a node tells: everything once, whatever becomes of requests and answers."""

import threading
from concurrent.futures import ThreadPoolExecutor, as_completed
from datetime import datetime, timezone

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from batchai_recipes.service.engines.engine import Ended, Running
from batchai_recipes.service.engines.ray.messages import Changes
from batchai_recipes.service.engines.ray.news import News
from batchai_recipes.service.engines.ray.share_copies import MadeFolder

RUN = ("job", "uid.1")
ENDED = Ended("exited", 0, datetime(2018, 6, 6, tzinfo=timezone.utc))
FOLDER = MadeFolder("share", "folder")
FOR_EVER = 60.0


class Told:
    """A node with one run, whose look at its tasks a test can hold up."""

    def __init__(self):
        self.status = Running()
        self.copies = []
        self.copying = False
        self.waiting = ()
        self.looked = threading.Event()
        self.may_look = threading.Event()
        self.may_look.set()

    def owners(self):
        """All that have tasks."""
        return [RUN]

    def tasks(self, owner):
        """What became of them."""
        status = self.status
        self.looked.set()
        assert self.may_look.wait(FOR_EVER)
        return {"process-0": status} if owner == RUN else {}

    def is_copying(self):
        """Whether something may be written."""
        return self.copying

    def written(self, *, final):
        """What was written, and whether that is all."""
        del final
        return self.copies.pop(0) if self.copies else ((), True)

    def shares(self):
        """The shares that something waits for."""
        return self.waiting

    def begin_anew(self):
        """Forget what was sent."""


@pytest.fixture
def told():
    """A node with one run."""
    return Told()


@pytest.fixture
def pool():
    """Threads for requests."""
    with ThreadPoolExecutor(4) as pool:
        yield pool


def test_one_that_asks_first_is_told_everything(told):
    """And that this is all; then, that nothing has changed."""
    news = News(told)
    first = news.tell(1, 0, 0.0)
    assert (first.tasks, first.whole) == ({RUN: {"process-0": Running()}}, True)
    assert news.tell(1, first.number, 0.0) == Changes(number=first.number)


def test_what_did_not_arrive_is_told_again(told):
    """Until the next request says that it has."""
    news = News(told)
    first = news.tell(1, 0, 0.0)
    assert news.tell(1, 0, 0.0) is first
    news.notice(RUN)
    second = news.tell(1, first.number, 0.0)
    assert (second.number, second.whole) == (first.number + 1, False)


def test_a_request_waits_for_news(told, pool):
    """And is answered as soon as there are some."""
    news = News(told)
    first = news.tell(1, 0, 0.0)
    told.looked.clear()
    waiting = pool.submit(news.tell, 1, first.number, FOR_EVER)
    told.status = ENDED
    news.notice(RUN)
    assert waiting.result(FOR_EVER).tasks == {RUN: {"process-0": ENDED}}


def test_a_request_for_nobody_takes_nothing_out(told, pool):
    """The driver of a killed service had asked, the end came, and the next driver asks.

    It is told of the end, not that there is no task.
    """
    news = News(told)
    first = news.tell(1, 0, 0.0)
    told.looked.clear()
    told.may_look.clear()
    of_the_dead = pool.submit(news.tell, 1, first.number, FOR_EVER)
    told.status = ENDED
    news.notice(RUN)
    assert told.looked.wait(FOR_EVER)  # its answer is on its way to nobody
    of_the_next = pool.submit(news.tell, 2, 0, FOR_EVER)
    told.may_look.set()
    of_the_dead.result(FOR_EVER)
    found = of_the_next.result(FOR_EVER)
    assert (found.tasks, found.whole) == ({RUN: {"process-0": ENDED}}, True)


def test_of_two_requests_of_one_driver_the_later_counts(told, pool):
    """Ray said that the first had failed; what it took out is told to the second."""
    news = News(told)
    first = news.tell(1, 0, 0.0)
    told.looked.clear()
    told.may_look.clear()
    lost = pool.submit(news.tell, 1, first.number, FOR_EVER)
    told.status = ENDED
    news.notice(RUN)
    assert told.looked.wait(FOR_EVER)
    again = pool.submit(news.tell, 1, first.number, FOR_EVER)
    told.may_look.set()
    assert again.result(FOR_EVER).tasks == {RUN: {"process-0": ENDED}}
    lost.result(FOR_EVER)


def test_a_request_is_over_when_another_comes(told, pool):
    """It says so, rather than that nothing has changed."""
    news = News(told)
    number = news.tell(1, 0, 0.0).number
    waiting = [pool.submit(news.tell, 1, number, FOR_EVER) for _ in range(3)]
    ended = as_completed(waiting, FOR_EVER)
    assert all(next(ended).result().superseded for _ in range(2))
    news.notice(RUN)
    assert not next(ended).result().superseded


def test_no_task_ends_before_what_it_wrote_is_told(told):
    """The service is told everything only with that, too."""
    told.status = ENDED
    told.copying = True
    told.copies = [((FOLDER,), False), ((FOLDER,), True)]
    news = News(told, scan_seconds=0.0)
    first = news.tell(1, 0, FOR_EVER)
    assert (first.tasks, first.shares, first.whole) == ({}, (FOLDER,), False)
    second = news.tell(1, first.number, FOR_EVER)
    assert (second.tasks, second.shares) == ({RUN: {"process-0": ENDED}}, (FOLDER,))
    assert second.whole


def test_while_a_copy_is_busy_a_request_waits(told):
    """For the copy, as long as it may, and then says that nothing has changed."""
    told.status = ENDED
    told.copying = True
    told.copies = [((), False), ((), False), ((), True)]
    news = News(told, scan_seconds=0.0)
    assert news.tell(1, 0, 0.0) == Changes(number=0)
    found = news.tell(1, 0, FOR_EVER)
    assert (found.tasks, found.whole) == ({RUN: {"process-0": ENDED}}, True)


def test_shares_are_asked_for(told):
    """Once; by the next driver again, where something waits still."""
    told.waiting = ("share",)
    news = News(told)
    first = news.tell(1, 0, 0.0)
    assert first.wanted == ("share",)
    assert news.tell(1, first.number, 0.0).wanted == ()
    news.want_shares()
    assert news.tell(1, first.number, 0.0).wanted == ("share",)
    assert news.tell(2, 0, 0.0).wanted == ("share",)


class Conversations(RuleBasedStateMachine):
    """Requests and answers get lost, drivers come and go; what is known at last is what is."""

    def __init__(self):
        super().__init__()
        self.told = Told()
        self.news = News(self.told)
        self.moment = 0
        self.follower, self.received, self.known = 1, 0, None

    def _ask(self):
        return self.news.tell(self.follower, self.received, 0.0)

    @rule()
    def change(self):
        """Something becomes of the task."""
        self.moment += 1
        self.told.status = Ended("exited", self.moment, ENDED.ended_at)
        self.news.notice(RUN)

    @rule(times=st.integers(1, 3))
    def lose(self, times):
        """Answers do not arrive."""
        for _ in range(times):
            self._ask()

    @rule()
    def hear(self):
        """An answer arrives."""
        answer = self._ask()
        self.received = answer.number
        if answer.whole:
            assert answer.tasks, "the task would be forgotten"
        self.known = answer.tasks.get(RUN, {}).get("process-0", self.known)

    @rule()
    def begin_driver(self):
        """A driver takes the place of the one before."""
        self.follower, self.received, self.known = self.follower + 1, 0, None

    @invariant()
    def nothing_is_lost(self):
        """Two answers at most, and all is known: one that was lost, and what came since."""
        for _ in range(2):
            self.hear()
        assert self.known == self.told.status


TestConversations = Conversations.TestCase

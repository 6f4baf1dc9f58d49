"""The thread that looks after sessions: when it looks."""

import threading

import pytest

from batchai_recipes.service.sessions.next_look import NextLook


@pytest.fixture
def looks(session, monkeypatch):
    """Let a caretaker look as a test says; each look waits for the test."""
    asked, answers = threading.Semaphore(0), []
    may = threading.Semaphore(0)

    def look():
        asked.release()
        may.acquire()
        answer = answers.pop(0) if answers else NextLook()
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(session.caretaker, "look", look)
    session.caretaker.start()
    yield asked, may, answers
    may.release(99)
    session.caretaker.stop()


def test_it_looks_when_it_starts_and_when_it_is_woken(session, looks):
    """What happened while the service was down is due at once."""
    asked, may, _ = looks
    for _ in range(3):
        assert asked.acquire(timeout=30)
        may.release()
        session.caretaker.wake()


def test_it_looks_at_the_time_that_it_was_told(looks, session):
    """By the service's clock: one that has come is now."""
    asked, may, answers = looks
    answers += [NextLook(session.clock.now())] * 3
    for _ in range(4):
        assert asked.acquire(timeout=30)
        may.release()


def test_changes_during_a_look_are_looked_at(looks, changes):
    """By one that waits for them."""
    asked, may, answers = looks
    answers.append(NextLook(after_changes=True))
    assert asked.acquire(timeout=30)
    changes.announce()
    may.release()
    assert asked.acquire(timeout=30)


def test_changes_wake_it_only_where_it_waits_for_them(session):
    """A service that runs many jobs changes its records all the time."""
    session.caretaker._changed()
    assert not session.caretaker._bell.is_set()
    session.caretaker._listens = True
    session.caretaker._changed()
    assert session.caretaker._bell.is_set()


def test_a_look_that_fails_does_not_end_it(looks, session, caplog):
    """The disk may not be full for ever."""
    asked, may, answers = looks
    answers.append(OSError("the disk is full"))
    assert asked.acquire(timeout=30)
    may.release()
    session.caretaker.wake()
    assert asked.acquire(timeout=30)
    assert "it is tried again" in caplog.text


@pytest.mark.parametrize(("seconds", "waits"), [(-5, 0), (30, 30), (1e7, 60)])
def test_it_never_waits_for_long(session, seconds, waits):
    """The machine may sleep, and its clock be set."""
    from datetime import timedelta  # noqa: PLC0415 - for this alone

    look = NextLook(session.clock.now() + timedelta(seconds=seconds))
    assert session.caretaker._seconds_until(look) == waits
    assert session.caretaker._seconds_until(NextLook()) == 60

"""A request to stop, made by signal handlers."""

import itertools
import os
import signal
import sys
import threading
from pathlib import Path

import pytest

from batchai_recipes.stop_request import StopRequest


class Interruption:
    """Sends this process a signal at the n-th step of what it runs."""

    def __init__(self, step):
        self._left = step

    @property
    def was_sent(self):
        """Whether so many steps were taken."""
        return self._left <= 0

    def __call__(self, frame, event, _argument):
        """Count a step; see `sys.settrace`."""
        frame.f_trace_opcodes = True
        self._left -= 1
        if self._left == 0:
            sys.settrace(None)
            signal.raise_signal(signal.SIGTERM)
        return self


@pytest.fixture
def request_to_stop():
    """A request that SIGTERM makes."""
    made, previous = StopRequest(), signal.getsignal(signal.SIGTERM)
    made.set_upon(signal.SIGTERM)
    yield made
    signal.signal(signal.SIGTERM, previous)
    signal.set_wakeup_fd(-1)


@pytest.mark.timeout(60)
def test_a_signal_at_any_step_of_the_wait_ends_it():
    """It is never waited for what it interrupts, as with an event of `threading`."""
    for step in itertools.count(1):
        made = StopRequest()
        previous = signal.signal(signal.SIGTERM, lambda *_, made=made: made.set())
        interruption = Interruption(step)
        traced = sys.gettrace()
        try:
            sys.settrace(interruption)
            is_made = made.wait(0.0)
        finally:
            sys.settrace(traced)
            signal.signal(signal.SIGTERM, previous)
        if not interruption.was_sent:
            break
        assert is_made or made.is_set()
    assert step > 10


def test_a_signal_that_another_thread_gets_ends_the_wait(request_to_stop):
    """The one that waits is not woken by it: it sleeps already."""
    waiting = Path(f"/proc/self/task/{threading.get_native_id()}/wchan")

    def get():
        while "poll" not in waiting.read_text():
            os.sched_yield()
        signal.pthread_kill(threading.get_ident(), signal.SIGTERM)

    thread = threading.Thread(target=get)
    thread.start()
    assert request_to_stop.wait(30)
    thread.join()


def test_another_thread_makes_it(request_to_stop):
    """Once or several times."""
    for _ in range(2):
        thread = threading.Thread(target=request_to_stop.set)
        thread.start()
        assert request_to_stop.wait(30)
        thread.join()
    assert request_to_stop.is_set()


def test_it_is_waited_for_no_longer_than_asked(request_to_stop):
    """And stays unmade."""
    assert not request_to_stop.wait(0.001)
    signal.raise_signal(signal.SIGTERM)
    assert request_to_stop.wait()

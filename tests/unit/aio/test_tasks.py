"""What the synchronous half does side by side, done by tasks."""

import asyncio
import threading

import pytest

from batchai_recipes.aio.fiber import run, wait_for
from batchai_recipes.aio.tasks import Tasks
from batchai_recipes.concurrency import Threads


def in_fiber(function):
    """Run a function with tasks' concurrency."""
    return asyncio.run(run(function, Tasks()))


def sleep(result=None):
    """Wait in a fiber for a turn of the loop."""
    return wait_for(lambda: asyncio.sleep(0, result))


BOTH = [pytest.param(in_fiber, id="tasks"), pytest.param(lambda f: f(Threads()), id="threads")]


@pytest.mark.parametrize("with_concurrency", BOTH)
def test_a_crew_does_what_it_is_given(with_concurrency):
    """In both halves alike: values in order, what ends, what fails."""

    def work(concurrency):
        crew = concurrency.crew(2, "crew")
        try:
            doubled = list(crew.map(lambda number: number * 2, range(5)))
            pending = [crew.submit(divmod, 7, number) for number in (0, 2)]
            ended = [one.exception() is None for one in crew.completed(pending)]
            with pytest.raises(ZeroDivisionError):
                pending[0].result()
            return doubled, sorted(ended), pending[1].result(), pending[1].cancelled()
        finally:
            crew.close()

    assert with_concurrency(work) == ([0, 2, 4, 6, 8], [False, True], (3, 1), False)


@pytest.mark.parametrize("with_concurrency", BOTH)
def test_what_is_done_aside_comes_back(with_concurrency):
    """Or fails."""

    def work(concurrency):
        with pytest.raises(ZeroDivisionError):
            concurrency.aside(divmod, 1, 0)
        return concurrency.aside(divmod, 7, 2)

    assert with_concurrency(work) == (3, 1)


def test_so_many_things_are_done_at_a_time():
    """And so many are in a slot."""
    now, most = [0], [0]

    def busy():
        now[0] += 1
        most[0] = max(most[0], now[0])
        for _ in range(5):
            sleep()
        now[0] -= 1

    def work(tasks):
        crew = tasks.crew(3, "crew")
        for one in [crew.submit(busy) for _ in range(9)]:
            one.result()
        crew.close()
        slots = tasks.slots(2)

        def in_slot():
            with slots:
                busy()

        counted, most[0] = most[0], 0
        crew = tasks.crew(9, "crew")
        for one in [crew.submit(in_slot) for _ in range(9)]:
            one.result()
        crew.close()
        return counted, most[0]

    assert in_fiber(work) == (3, 2)


def test_a_crew_that_is_closed_gives_up_what_runs():
    """And waits for it, so that nothing is written afterwards."""
    did = []

    def endless():
        try:
            wait_for(lambda: asyncio.Event().wait())
        finally:
            did.append(sleep("ended"))

    def work(tasks):
        crew = tasks.crew(2, "crew")
        running, waiting = crew.submit(endless), [crew.submit(endless) for _ in range(4)]
        sleep()
        sleep()
        cancelled = running.cancel()
        crew.close()
        return cancelled, running.cancelled(), [one.cancelled() for one in waiting]

    assert in_fiber(work) == (True, True, [True] * 4)
    assert did == ["ended"] * len(did)


def test_what_is_done_aside_is_in_another_thread():
    """The event loop goes on meanwhile."""
    assert in_fiber(lambda tasks: tasks.aside(threading.get_ident)) != threading.get_ident()


def test_what_is_repeated_is_stopped_whole():
    """While it pauses at once; while it acts, when that is done."""
    did = []

    def work(tasks):
        begun, let_go = asyncio.Event(), asyncio.Event()

        def act():
            begun.set()
            did.append(wait_for(let_go.wait))

        acting, pausing = tasks.every(0, act, "acting"), tasks.every(600, act, "pausing")
        wait_for(begun.wait)
        asyncio.get_running_loop().call_soon(let_go.set)
        acting.stop()
        pausing.stop()
        pausing.stop()
        return did

    assert in_fiber(work) == [True]

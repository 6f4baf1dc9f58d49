"""Synchronous functions that wait for coroutines: their results, their cancellation, their end."""

import asyncio
import contextvars
import threading

import pytest

from batchai_recipes.aio.fiber import certainly, each, finish, in_thread, is_certain, run, wait_for

PRESENT = contextvars.ContextVar("PRESENT", default="nobody's")


def sleep(seconds=0.0, result=None):
    """Wait in a fiber."""
    return wait_for(lambda: asyncio.sleep(seconds, result))


def never():
    """Wait in a fiber for what does not come."""
    return wait_for(lambda: asyncio.Event().wait())


async def cancelled(task, times=1):
    """Cancel a task that waits, some times, and return what it raised."""
    for _ in range(times):
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
    (raised,) = await asyncio.gather(task, return_exceptions=True)
    return raised


def test_what_is_waited_for_comes_back():
    """However deep in synchronous code it is asked for, also below a function written in C."""

    def ordered(numbers):
        return sorted(numbers, key=lambda number: sleep(result=-number))

    assert asyncio.run(run(ordered, [1, 2, 3])) == [3, 2, 1]


def test_the_event_loop_goes_on_meanwhile():
    """Two functions wait for each other, in one thread."""
    threads = set()

    async def main():
        first, second = asyncio.Event(), asyncio.Event()

        def meet(mine, others):
            threads.add(threading.get_ident())
            mine.set()
            return wait_for(others.wait)

        return await asyncio.gather(run(meet, first, second), run(meet, second, first))

    assert asyncio.run(main()) == [True, True]
    assert threads == {threading.get_ident()}


def test_what_it_raises_comes_back():
    """Where it waits, and out of the function."""

    async def fail():
        raise ValueError("as it is")

    def hand_on():
        with pytest.raises(ValueError, match="as it is"):
            wait_for(fail)
        raise KeyError("another")

    with pytest.raises(KeyError, match="another"):
        asyncio.run(run(hand_on))


def test_nothing_else_may_wait_so():
    """It would keep the loop from going on."""
    with pytest.raises(RuntimeError, match="belongs to coroutines"):
        sleep()


def test_a_cancellation_is_raised_where_the_function_waits():
    """And what cleans up after it may wait."""
    did = []

    def work():
        try:
            never()
        except asyncio.CancelledError:
            did.append(sleep(result="cleaned up"))
            raise

    async def main():
        return await cancelled(asyncio.create_task(run(work)))

    assert isinstance(asyncio.run(main()), asyncio.CancelledError)
    assert did == ["cleaned up"]


@pytest.mark.parametrize("times", [1, 2, 3])
def test_what_must_be_certain_is_not_cut_short(times):
    """However often its task is cancelled; the cancellation goes on afterwards."""
    did = []

    async def main():
        let_go = asyncio.Event()

        def work():
            try:
                never()
            finally:
                with certainly():
                    did.append(wait_for(let_go.wait))
                    did.append(is_certain())

        task = asyncio.create_task(run(work))
        for _ in range(times):
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            task.cancel()
        asyncio.get_running_loop().call_soon(let_go.set)
        (raised,) = await asyncio.gather(task, return_exceptions=True)
        return raised

    assert isinstance(asyncio.run(main()), asyncio.CancelledError)
    assert did == [True, True]


def test_a_cancellation_goes_on_after_what_was_finished():
    """Also where that failed, whose error is its cause."""

    async def main():
        let_go = asyncio.Event()

        def work():
            wait_for(let_go.wait)
            raise ValueError("as it is")

        async def outer():
            with pytest.raises(asyncio.CancelledError) as raised:
                await finish(work)
            return raised.value.__cause__

        task = asyncio.create_task(outer())
        await asyncio.sleep(0)
        task.cancel()
        asyncio.get_running_loop().call_later(0, let_go.set)
        return await task

    assert isinstance(asyncio.run(main()), ValueError)


def test_the_end_of_asyncio_run_does_not_cut_it_short():
    """Which cancels all tasks that it knows, and waits for the function's."""
    did = []

    def work():
        try:
            never()
        finally:
            with certainly():
                did.append(sleep(result="cleaned up"))

    async def main():
        asyncio.get_running_loop().kept = asyncio.create_task(run(work))
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    asyncio.run(main())
    assert did == ["cleaned up"]


def test_what_others_cancelled_is_asked_again():
    """A request whose connection was being made by a task that the loop's end cancelled."""
    answers = [asyncio.CancelledError(), "answer"]

    async def ask():
        answer = answers.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    assert asyncio.run(finish(wait_for, ask)) == "answer"


def test_a_time_limit_ends_it():
    """With the error of time limits."""
    with pytest.raises(asyncio.TimeoutError):
        asyncio.run(asyncio.wait_for(run(never), 0))


def test_what_is_set_for_the_context_is_set_for_the_task():
    """Spans that a session begins are those of its block."""
    seen = []

    def begin():
        PRESENT.set("mine")
        sleep()
        seen.append(wait_for(look))

    async def look():
        return PRESENT.get()

    async def main():
        await run(begin)
        seen.append(PRESENT.get())
        await run(lambda: seen.append(PRESENT.get()))

    asyncio.run(main())
    assert seen == ["mine", "mine", "mine"]
    assert PRESENT.get() == "nobody's"


def test_an_iterator_is_iterated_over_and_closed():
    """Its steps wait, as does its end."""
    did = []

    def count():
        try:
            for number in range(3):
                yield sleep(result=number)
        finally:
            did.append(sleep(result="closed"))

    async def main():
        whole = [number async for number in each(count())]
        begun = each(count())
        did.append(await anext(begun))
        await begun.aclose()
        return whole

    assert asyncio.run(main()) == [0, 1, 2]
    assert did == ["closed", 0, "closed"]


def test_a_thread_is_waited_for_when_the_task_is_cancelled():
    """What it writes to stays there until it has ended."""
    did = []

    async def main():
        let_go = threading.Event()

        def work():
            let_go.wait(60)
            did.append("done")

        task = asyncio.create_task(in_thread(work))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.sleep(0)
        assert not task.done()
        let_go.set()
        return await cancelled(task)

    assert isinstance(asyncio.run(main()), asyncio.CancelledError)
    assert did == ["done"]

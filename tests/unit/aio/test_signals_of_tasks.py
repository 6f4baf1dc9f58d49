"""SIGTERM around a session of coroutines."""

import asyncio
import signal

import pytest

from batchai_recipes.aio.signals import TaskSignals
from batchai_recipes.session.signals import TerminationSignals


def told(_line):
    """Nobody listens."""


async def session(body, left):
    """What a session does about signals, around a block."""
    signals = TaskSignals(told)
    with signals.seen():
        signals.start()
        try:
            await body()
        finally:
            with signals.held():
                left.append("cleaned up")
            signals.stop()


def test_sigterm_cancels_the_task_where_it_waits():
    """No exception is raised where the signal happens to arrive; the program's status is 143."""
    left = []

    async def body():
        signal.raise_signal(signal.SIGTERM)
        left.append("the signal raised nothing")
        await asyncio.Event().wait()

    with pytest.raises(SystemExit) as exit_info:
        asyncio.run(session(body, left))

    assert exit_info.value.code == 143
    assert left == ["the signal raised nothing", "cleaned up"]
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_a_block_that_swallows_the_cancellation_ends_the_program_nevertheless():
    """The signal is not lost."""
    left = []

    async def body():
        signal.raise_signal(signal.SIGTERM)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            left.append("swallowed")

    with pytest.raises(SystemExit):
        asyncio.run(session(body, left))

    assert left == ["swallowed", "cleaned up"]


def test_all_sessions_of_a_program_end():
    """Each in its own task, with its clean-up."""
    left = []

    async def main():
        entered = asyncio.Event()

        async def waits():
            entered.set()
            await asyncio.Event().wait()

        async def raises():
            await entered.wait()
            signal.raise_signal(signal.SIGTERM)
            await asyncio.Event().wait()

        await asyncio.gather(session(waits, left), session(raises, left))

    with pytest.raises(SystemExit):
        asyncio.run(main())

    assert left == ["cleaned up", "cleaned up"]


def test_a_second_one_does_not_wait_for_a_busy_task():
    """A block that computes without an end can be ended."""
    left = []

    async def body():
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
        left.append("went on")

    with pytest.raises(SystemExit):
        asyncio.run(session(body, left))

    assert left == ["cleaned up"]


def test_a_session_without_coroutines_beside_it_ends_at_once():
    """What waits for no event loop cannot be cancelled by one."""
    left = []

    async def body():
        plain = TerminationSignals(told)
        plain.start()
        try:
            signal.raise_signal(signal.SIGTERM)
            left.append("went on")
        finally:
            plain.stop()

    with pytest.raises(SystemExit):
        asyncio.run(session(body, left))

    assert left == ["cleaned up"]

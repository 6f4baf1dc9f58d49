"""SIGTERM as the cancellation of a session's task, and no interruption of its clean-up."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from typing_extensions import Self

from batchai_recipes.aio.fiber import certainly
from batchai_recipes.session.signals import TerminationSignals, terminated
from batchai_recipes.session.training_session import TrainingSession


class TaskSignals(TerminationSignals):
    """Makes SIGTERM leave an ``async with`` block as Ctrl-C does under :func:`asyncio.run`.

    The first one cancels the task, at a place where it waits: an exception from the handler would
    be raised anywhere in the event loop's own code. Its block left, the program ends as after any
    SIGTERM. A second one does not wait for a task that waits for nothing.

    Args:
        report: Told when a signal arrives during the clean-up.
    """

    def __init__(self, report: Callable[[str], None]) -> None:
        super().__init__(report)
        self._task: asyncio.Task[object] | None = None
        self._arrived = False

    @classmethod
    def of(cls, session: TrainingSession) -> Self:
        """Return the signals of a session, which it uses from now on."""
        signals = cls(session._listener.report)
        session._signals = signals
        return signals

    def start(self) -> None:
        """Let SIGTERM cancel the present task from now on, unless the program handles it."""
        self._task = asyncio.current_task()
        super().start()

    def cancel(self) -> bool:
        """Cancel the task; tell whether this is the first time."""
        if self._task is None or self._arrived:
            return False
        self._arrived = True
        self._task.get_loop().call_soon_threadsafe(self._task.cancel)
        return True

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold Ctrl-C, SIGTERM and cancellations back during the block."""
        with certainly(), super().held():
            yield

    @contextmanager
    def seen(self) -> Iterator[None]:
        """End the program after the block where SIGTERM has cancelled the task.

        Raises:
            SystemExit: SIGTERM has arrived.
        """
        try:
            yield
        except BaseException as error:
            if self._arrived:
                raise terminated() from error
            raise
        if self._arrived:
            raise terminated()

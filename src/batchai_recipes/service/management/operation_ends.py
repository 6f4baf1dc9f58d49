"""Waiting for the end of operations, without a thread for each one who waits."""

import asyncio
from contextlib import suppress

from batchai_recipes.service.changes import Changes
from batchai_recipes.service.store import Store

Waiting = asyncio.Future[None]


class OperationEnds:
    """Lets requests on one event loop wait for the end of operations.

    Args:
        store: The records of operations.
        changes: Rings when the scheduler has changed records.
    """

    def __init__(self, store: Store, changes: Changes) -> None:
        self._store = store
        self._changes = changes
        self._waiting: dict[str, set[Waiting]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ringing = False

    async def wait(self, operation_id: str, seconds: float) -> None:
        """Wait until an operation has ended; return at once where there is none.

        Args:
            operation_id: The operation.
            seconds: How long to wait at most.
        """
        self._loop = asyncio.get_running_loop()
        end: Waiting = self._loop.create_future()
        if not self._waiting:
            self._changes.listen(self._ring)
        self._waiting.setdefault(operation_id, set()).add(end)
        try:
            # Only now, or it could end between the look and the first ring.
            self._release([operation_id])
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(end, seconds)
        finally:
            self._leave(operation_id, end)

    def _leave(self, operation_id: str, end: Waiting) -> None:
        others = self._waiting.get(operation_id, set())
        others.discard(end)
        if not others:
            self._waiting.pop(operation_id, None)
        if not self._waiting:
            self._changes.unlisten(self._ring)

    def _ring(self) -> None:
        """Look again, soon and once for all rings until then; called by the scheduler's thread."""
        if self._loop is None or self._ringing:
            return
        self._ringing = True
        with suppress(RuntimeError):  # the loop has ended, and everybody's wait with it
            self._loop.call_soon_threadsafe(self._look)

    def _look(self) -> None:
        self._ringing = False
        if self._waiting:
            self._release(list(self._waiting))

    def _release(self, operation_ids: list[str]) -> None:
        with self._store.read() as records:
            ended = [
                one
                for one in operation_ids
                if records.execute(
                    "SELECT 1 FROM operations WHERE id = ? AND status = 'InProgress'", (one,)
                ).fetchone()
                is None
            ]
        for one in ended:
            for end in self._waiting.get(one, ()):
                if not end.done():
                    end.set_result(None)

"""One connection on which the threads of a service change records, one after the other.

Waiting for the disk takes far longer than changing a few records, so those who come while others
are at it share one commit: each has a savepoint of its own, the last one commits for all, and
nobody goes on before that.
"""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

# Whoever is first in a batch waits for the last one.
_LARGEST_BATCH: Final = 32


class _Batch:
    """Transactions that are made durable together."""

    def __init__(self) -> None:
        self.size = 0
        self._over = threading.Event()
        self._error: BaseException | None = None

    def finish(self, error: BaseException | None) -> None:
        """Let everyone go on, or fail with an error."""
        self._error = error
        self._over.set()

    def wait(self) -> None:
        """Wait until the batch is on disk."""
        self._over.wait()
        if self._error is not None:
            raise self._error


class Writer:
    """Frames the transactions of all threads.

    Args:
        connection: The connection, in autocommit mode and for any thread; nobody else uses it.

    Example:
        >>> writer = Writer(sqlite3.connect(":memory:", isolation_level=None))
        >>> with writer.transaction() as records:
        ...     _ = records.execute("CREATE TABLE names (name TEXT)")
        >>> with writer.transaction() as records:
        ...     records.execute("SELECT count(*) FROM names").fetchone()
        (0,)
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._turn = threading.Lock()
        self._counting = threading.Lock()
        self._queued = 0
        self._batch: _Batch | None = None

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Open a transaction that is durable when the block has ended, and undone when it raises.

        Also what a block raises goes on only when everything that it saw is durable.
        """
        batch = self._enter()
        try:
            with self._savepoint():
                yield self._connection
        finally:
            self._leave(batch)
            batch.wait()

    def _enter(self) -> _Batch:
        with self._counting:
            self._queued += 1
        self._turn.acquire()
        with self._counting:
            self._queued -= 1
        if self._batch is None:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
            except BaseException:
                self._turn.release()
                raise
            self._batch = _Batch()
        return self._batch

    @contextmanager
    def _savepoint(self) -> Iterator[None]:
        try:
            self._connection.execute("SAVEPOINT one")
            yield
            self._connection.execute("RELEASE one")
        except BaseException:
            try:
                self._connection.execute("ROLLBACK TO one")
                self._connection.execute("RELEASE one")
            except sqlite3.Error:
                # SQLite has undone the whole transaction already, say because the disk is full.
                self._connection.rollback()
            raise

    def _leave(self, batch: _Batch) -> None:
        """Commit, unless somebody else is queued to change more first."""
        batch.size += 1
        lost = not self._connection.in_transaction
        if lost or not self._queued or batch.size >= _LARGEST_BATCH:
            self._batch = None
            batch.finish(self._commit(lost=lost))
        self._turn.release()

    def _commit(self, *, lost: bool) -> BaseException | None:
        if lost:
            return sqlite3.OperationalError("another change of the same commit failed")
        try:
            self._connection.commit()
        except BaseException as error:  # noqa: BLE001 - raised by everyone who waits for the batch
            self._connection.rollback()
            return error
        return None

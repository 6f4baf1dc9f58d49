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
    """Transactions that are made durable together.

    Args:
        survives_power_loss: Whether they wait for the disk itself.
    """

    def __init__(self, *, survives_power_loss: bool) -> None:
        self.survives_power_loss = survives_power_loss
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
        self._waits_for_disk: bool | None = None
        self.commits = 0
        self.lasting_commits = 0
        self._cause = ""

    @contextmanager
    def transaction(self, *, survives_power_loss: bool = True) -> Iterator[sqlite3.Connection]:
        """Open a transaction that is durable when the block has ended, and undone when it raises.

        Also what a block raises goes on only when everything that it saw is durable.

        Args:
            survives_power_loss: Whether to wait for the disk itself. Without that the change is
                with the operating system, and outlives this process however it ends; the next
                transaction that does wait takes it along.
        """
        batch = self._enter(survives_power_loss)
        try:
            with self._savepoint():
                yield self._connection
        finally:
            self._leave(batch)
            batch.wait()

    def _enter(self, survives_power_loss: bool) -> _Batch:  # noqa: FBT001 - of `transaction`
        with self._counting:
            self._queued += 1
        self._turn.acquire()
        with self._counting:
            self._queued -= 1
        try:
            if self._batch is not None and self._batch.survives_power_loss != survives_power_loss:
                self._end(self._batch)
            if self._batch is None:
                self._begin(survives_power_loss)
                self._batch = _Batch(survives_power_loss=survives_power_loss)
        except BaseException:
            self._turn.release()
            raise
        return self._batch

    def _begin(self, survives_power_loss: bool) -> None:  # noqa: FBT001 - of `transaction`
        if self._waits_for_disk != survives_power_loss:
            level = "FULL" if survives_power_loss else "NORMAL"
            self._connection.execute(f"PRAGMA synchronous={level}")
            self._waits_for_disk = survives_power_loss
        self._connection.execute("BEGIN IMMEDIATE")

    @contextmanager
    def _savepoint(self) -> Iterator[None]:
        try:
            self._connection.execute("SAVEPOINT one")
            yield
            self._connection.execute("RELEASE one")
        except BaseException as error:
            try:
                self._connection.execute("ROLLBACK TO one")
                self._connection.execute("RELEASE one")
            except sqlite3.Error:
                # SQLite has undone the whole transaction already, say because the disk is full.
                self._connection.rollback()
                self._cause = str(error)
            raise

    def _leave(self, batch: _Batch) -> None:
        """Commit, unless somebody else is queued to change more first."""
        batch.size += 1
        lost = not self._connection.in_transaction
        if lost or not self._queued or batch.size >= _LARGEST_BATCH:
            self._end(batch)
        self._turn.release()

    def _end(self, batch: _Batch) -> None:
        self._batch = None
        error = self._commit()
        # Before anybody learns of the commit, whoever remembers records has to forget them.
        self.commits += 1
        self.lasting_commits += batch.survives_power_loss
        batch.finish(error)

    def _commit(self) -> BaseException | None:
        if not self._connection.in_transaction:
            return sqlite3.OperationalError(
                f"another change of the same commit failed: {self._cause}"
            )
        try:
            self._connection.commit()
        except BaseException as error:  # noqa: BLE001 - raised by everyone who waits for the batch
            self._connection.rollback()
            return error
        return None

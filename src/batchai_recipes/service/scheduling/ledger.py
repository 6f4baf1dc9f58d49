"""The scheduler's view of the records: what it commits, it announces."""

import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime

from batchai_recipes.service.changes import Changes
from batchai_recipes.service.clock import Clock, iso_timestamp
from batchai_recipes.service.store import Store


class Ledger:
    """Reads and commits records, and rings the bell after each commit.

    Args:
        store: The records.
        clock: Tells the time that goes into them.
        changes: The bell.
    """

    def __init__(self, store: Store, clock: Clock, changes: Changes) -> None:
        self._store = store
        self._clock = clock
        self._changes = changes

    def read(self) -> AbstractContextManager[sqlite3.Connection]:
        """Open a consistent view of the records."""
        return self._store.read()

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """Open a transaction that is committed, and then announced, when the block ends."""
        with self._store.write() as records:
            yield records
        self._changes.announce()

    def now(self) -> datetime:
        """Return the present time, aware and in UTC."""
        return self._clock.now()

    def timestamp(self) -> str:
        """Return the present time as records hold it."""
        return iso_timestamp(self._clock.now())

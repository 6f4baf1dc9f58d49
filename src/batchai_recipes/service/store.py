"""SQLite, the one place that holds records.

Every room keeps its own statements; this module opens connections, brings the schema forward and
frames transactions. Readers never wait for the writer (write-ahead log), and what a write
transaction changed is on disk when its block ends (``synchronous=FULL``), unless it says that
outliving the process is enough.
"""

import sqlite3
import threading
import weakref
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from batchai_recipes.service.schema import MIGRATIONS
from batchai_recipes.service.writer import Writer

BUSY_TIMEOUT_SECONDS = 30.0


class StateTooNewError(Exception):
    """The state directory was written by a later release of this library."""


class StateTooOldError(Exception):
    """A service of an earlier release runs on the state directory."""


class _ThreadConnection:
    """A connection that a thread keeps for as long as it lives."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection


class Store:
    """The records of one service.

    Args:
        path: The database file; made when missing.
        migrate: Whether an earlier release's file is brought forward; else it is refused, for a
            service of that release may run on it.

    Raises:
        StateTooOldError: The file has an earlier schema version and must not be brought forward.
        StateTooNewError: The file has a schema version that this release does not know.
        ValueError: The file is no database, or damaged.
        OSError: The file cannot be opened or written.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     store = Store(Path(folder) / "state.db")
        ...     with store.write() as records:
        ...         _ = records.execute("INSERT INTO accounts VALUES ('demo', 'a2V5', 'a2V5')")
        ...     with store.read() as records:
        ...         name = records.execute("SELECT name FROM accounts").fetchone()["name"]
        ...     store.close()
        >>> name
        'demo'
    """

    def __init__(self, path: Path, *, migrate: bool = True) -> None:
        self._path = path
        self._local = threading.local()
        self._all: set[sqlite3.Connection] = set()
        self._all_lock = threading.Lock()
        try:
            self._writer = Writer(self._open())
            self._migrate(may=migrate)
        except sqlite3.OperationalError as error:
            self.close()
            raise OSError(f"{path} cannot be used: {error}") from error
        except sqlite3.DatabaseError as error:
            self.close()
            raise ValueError(
                f"{path} is damaged: restore it, or use another state directory ({error})"
            ) from error
        except BaseException:
            self.close()
            raise

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """Open a consistent view of the records; changes made in it are discarded."""
        connection = self._connection()
        connection.execute("BEGIN")
        try:
            yield connection
        finally:
            connection.rollback()

    def one(self, query: str, values: Sequence[object] = ()) -> sqlite3.Row | None:
        """Return the first row of one query, which is a consistent view in itself.

        Args:
            query: The query.
            values: The values of its placeholders.
        """
        row: sqlite3.Row | None = self._connection().execute(query, values).fetchone()
        return row

    def write(
        self, *, survives_power_loss: bool = True
    ) -> AbstractContextManager[sqlite3.Connection]:
        """Open a transaction that is committed when the block ends and undone when it raises.

        Args:
            survives_power_loss: Whether to wait for the disk; if not, what was committed outlives
                this process only.
        """
        return self._writer.transaction(survives_power_loss=survives_power_loss)

    @property
    def commits(self) -> int:
        """How often records may have changed; another number than before means: read again."""
        return self._writer.commits

    @property
    def lasting_commits(self) -> int:
        """The same for records that are only changed by what survives a loss of power."""
        return self._writer.lasting_commits

    def close(self) -> None:
        """Close every connection; the store cannot be used afterwards."""
        with self._all_lock:
            while self._all:
                self._all.pop().close()

    def _connection(self) -> sqlite3.Connection:
        existing: _ThreadConnection | None = getattr(self._local, "held", None)
        if existing is not None:
            return existing.connection
        connection = self._open()
        # Worker threads come and go; each takes its connection with it.
        self._local.held = _ThreadConnection(connection)
        weakref.finalize(self._local.held, self._forget, connection)
        return connection

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._path,
            timeout=BUSY_TIMEOUT_SECONDS,
            isolation_level=None,
            check_same_thread=False,
        )
        with self._all_lock:
            self._all.add(connection)
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA foreign_keys=ON")
        return connection

    def _forget(self, connection: sqlite3.Connection) -> None:
        with self._all_lock:
            self._all.discard(connection)
        connection.close()

    def _migrate(self, *, may: bool) -> None:
        with self.write() as records:
            (version,) = records.execute("PRAGMA user_version").fetchone()
            if version > len(MIGRATIONS):
                raise StateTooNewError(
                    f"{self._path} has schema version {version}, this release knows "
                    f"{len(MIGRATIONS)}: use the release that wrote it, or another state directory"
                )
            if version < len(MIGRATIONS) and not may:
                raise StateTooOldError(
                    f"A service of an earlier release runs on {self._path.parent}: restart it with "
                    "this release first"
                )
            for number, statements in enumerate(MIGRATIONS[version:], start=version + 1):
                for statement in statements:
                    records.execute(statement)
                records.execute(f"PRAGMA user_version={number}")

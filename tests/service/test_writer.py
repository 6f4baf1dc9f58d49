"""The writer: transactions of several threads that share a commit."""

import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
from attrs import define, field

from batchai_recipes.service.writer import Writer

SCHEMA = """
    CREATE TABLE names (name TEXT PRIMARY KEY);
    CREATE TABLE aliases (name TEXT REFERENCES names DEFERRABLE INITIALLY DEFERRED);
    CREATE TRIGGER forbidden BEFORE INSERT ON names WHEN NEW.name = 'forbidden'
    BEGIN SELECT RAISE(ROLLBACK, 'all is undone'); END;
"""


@define
class Crowd:
    """Threads that come to write while another one is at it."""

    connection: sqlite3.Connection
    writer: Writer
    threads: ThreadPoolExecutor
    commits: list[str] = field(factory=list)

    def write(self, statement: str) -> None:
        """Execute one statement in a transaction of its own."""
        with self.writer.transaction() as records:
            records.execute(statement)

    def all_at_once(self, *statements: str) -> list[Future[None]]:
        """Let all write while the first one is still at it; return when all are through."""
        first_is_in, go_on = threading.Event(), threading.Event()

        def first() -> None:
            with self.writer.transaction() as records:
                first_is_in.set()
                go_on.wait(30)
                records.execute(statements[0])

        futures = [self.threads.submit(first)]
        first_is_in.wait(30)
        self.connection.set_trace_callback(self.note)
        for number, statement in enumerate(statements[1:], start=1):
            futures.append(self.threads.submit(self.write, statement))
            while self.writer._queued < number:  # it comes in the order of the statements
                pass
        go_on.set()
        for future in futures:
            future.exception(30)
        return futures

    def note(self, statement: str) -> None:
        """Note a commit."""
        if statement.startswith("COMMIT"):
            self.commits.append(statement)

    def names(self) -> list[str]:
        """Return what is recorded."""
        return [name for (name,) in self.connection.execute("SELECT name FROM names ORDER BY name")]


@pytest.fixture
def crowd(tmp_path: Path) -> Iterator[Crowd]:
    """A writer and the threads that use it."""
    connection = sqlite3.connect(tmp_path / "db", isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA foreign_keys=ON")
    connection.executescript(SCHEMA)
    with ThreadPoolExecutor(8) as threads:
        yield Crowd(connection, Writer(connection), threads)
    connection.close()


def _insert(name: str) -> str:
    return f"INSERT INTO names VALUES ('{name}')"


def _errors(futures: list[Future[None]]) -> list[type[BaseException] | None]:
    errors = [future.exception() for future in futures]
    return [error and type(error) for error in errors]


def test_those_who_wait_share_a_commit(crowd: Crowd) -> None:
    """The last one commits for all."""
    futures = crowd.all_at_once(_insert("a"), _insert("b"), _insert("c"))
    assert _errors(futures) == [None, None, None]
    assert crowd.names() == ["a", "b", "c"]
    assert len(crowd.commits) == 1


def test_one_that_fails_is_undone_alone(crowd: Crowd) -> None:
    """First, in between or last."""
    for failing in range(3):
        statements = [_insert(f"{failing}{number}") for number in range(3)]
        statements[failing] += ", ('again'), ('again')"
        errors = _errors(crowd.all_at_once(*statements))
        assert errors.pop(failing) is sqlite3.IntegrityError
        assert errors == [None, None]
    assert crowd.names() == ["01", "02", "10", "12", "20", "21"]


def test_a_commit_that_fails_fails_for_all(crowd: Crowd) -> None:
    """Nobody is told that what is not on disk is done."""
    dangling = "INSERT INTO aliases VALUES ('nobody')"
    futures = crowd.all_at_once(_insert("a"), dangling, _insert("c"))
    assert _errors(futures) == [sqlite3.IntegrityError] * 3
    assert crowd.names() == []
    crowd.write(_insert("later"))
    assert crowd.names() == ["later"]


def test_what_undoes_all_fails_for_those_before_it(crowd: Crowd) -> None:
    """As a full disk does; those who come after it begin anew."""
    futures = crowd.all_at_once(_insert("a"), _insert("forbidden"))
    assert _errors(futures) == [sqlite3.OperationalError, sqlite3.OperationalError]
    crowd.write(_insert("c"))
    assert crowd.names() == ["c"]


def test_a_database_that_another_process_holds_is_an_error_for_one(crowd: Crowd, tmp_path) -> None:
    """The next one tries again."""
    other = sqlite3.connect(tmp_path / "db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    crowd.connection.execute("PRAGMA busy_timeout=0")
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        crowd.write(_insert("a"))
    other.execute("ROLLBACK")
    other.close()
    crowd.write(_insert("a"))
    assert crowd.names() == ["a"]


def test_a_large_crowd_does_not_wait_for_its_last(crowd: Crowd, monkeypatch) -> None:
    """A batch has an end, also when somebody is always queued."""
    monkeypatch.setattr("batchai_recipes.service.writer._LARGEST_BATCH", 2)
    crowd.all_at_once(*(_insert(name) for name in "abcde"))
    assert crowd.names() == list("abcde")
    assert len(crowd.commits) == 3


@pytest.fixture
def interrupted() -> Callable[[Writer], None]:
    """Leaves a transaction half way."""

    def interrupt(writer: Writer) -> None:
        with writer.transaction() as records:
            records.execute(_insert("half"))
            raise KeyboardInterrupt

    return interrupt


def test_an_interrupt_undoes_and_lets_others_in(crowd: Crowd, interrupted) -> None:
    """No lock stays taken."""
    with pytest.raises(KeyboardInterrupt):
        interrupted(crowd.writer)
    crowd.write(_insert("a"))
    assert crowd.names() == ["a"]


def test_who_waits_for_the_disk_shares_no_commit_with_who_does_not(crowd):
    """Each batch is flushed to the disk or not, as all in it asked."""

    def levels():
        return crowd.connection.execute("PRAGMA synchronous").fetchone()[0]

    before = crowd.writer.commits
    for survives, level in ((True, 2), (False, 1), (False, 1), (True, 2)):
        with crowd.writer.transaction(survives_power_loss=survives) as records:
            records.execute("DELETE FROM names")
        assert level == levels()
    assert before + 4 == crowd.writer.commits

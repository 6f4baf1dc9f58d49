"""The store: transactions, threads, versions."""

import sqlite3
import threading

import pytest

from batchai_recipes.service.schema import MIGRATIONS
from batchai_recipes.service.store import StateTooNewError, Store

INSERT = "INSERT INTO accounts VALUES (?, 'a2V5', 'a2V5')"


@pytest.fixture
def store(tmp_path):
    """A store of this test's own."""
    store = Store(tmp_path / "state.db")
    yield store
    store.close()


def names(store):
    """Return the recorded accounts."""
    with store.read() as records:
        return [row["name"] for row in records.execute("SELECT name FROM accounts ORDER BY name")]


def test_a_transaction_is_kept_when_its_block_ends(store, tmp_path):
    """Another process sees it at once."""
    with store.write() as records:
        records.execute(INSERT, ("demo",))
    other = sqlite3.connect(tmp_path / "state.db")

    assert other.execute("SELECT count(*) FROM accounts").fetchone() == (1,)
    other.close()


def test_a_transaction_is_undone_when_its_block_raises(store):
    """Nothing half-made is visible."""

    def fail():
        with store.write() as records:
            records.execute(INSERT, ("demo",))
            raise RuntimeError("half way")

    with pytest.raises(RuntimeError):
        fail()
    assert names(store) == []


def test_changes_made_while_reading_are_discarded(store):
    """Reading is reading."""
    with store.read() as records:
        records.execute(INSERT, ("demo",))

    assert names(store) == []


def test_many_threads_write_without_losing_anything(store):
    """One after the other, whoever comes first."""
    threads = [
        threading.Thread(target=_insert, args=(store, f"account{number:02}"))
        for number in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert names(store) == [f"account{number:02}" for number in range(20)]


def test_threads_that_ended_leave_no_connection_open(store):
    """Worker threads come and go for as long as a service runs."""
    for number in range(5):
        thread = threading.Thread(target=_insert, args=(store, f"account{number}"))
        thread.start()
        thread.join()

    assert len(store._all) == 1


def test_foreign_keys_are_enforced(store):
    """A share of no account cannot be."""
    with pytest.raises(sqlite3.IntegrityError), store.write() as records:
        records.execute(
            "INSERT INTO shares (account, name, quota_gib, etag, created_at, modified_at) "
            "VALUES ('nobody', 's', 1, 'e', 't', 't')"
        )


def test_a_file_of_a_later_release_is_left_alone(tmp_path):
    """With both versions named."""
    database = sqlite3.connect(tmp_path / "state.db")
    database.execute(f"PRAGMA user_version={len(MIGRATIONS) + 4}")
    database.close()

    with pytest.raises(StateTooNewError, match=f"{len(MIGRATIONS) + 4}.*knows {len(MIGRATIONS)}"):
        Store(tmp_path / "state.db")


def _insert(store, name):
    with store.write() as records:
        records.execute(INSERT, (name,))


def test_a_file_that_is_no_database_is_told_as_damaged(tmp_path):
    """As every other file of a state directory is."""
    (tmp_path / "state.db").write_bytes(b"no database " * 1000)

    with pytest.raises(ValueError, match=r"state.db is damaged.*restore it"):
        Store(tmp_path / "state.db")


def test_a_file_that_cannot_be_opened_is_the_systems_error(tmp_path):
    """Nothing is wrong with what it holds."""
    (tmp_path / "state.db").mkdir()

    with pytest.raises(OSError, match=r"state.db cannot be used"):
        Store(tmp_path / "state.db")

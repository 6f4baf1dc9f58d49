"""Claiming a task, and reading what became of it."""

import fcntl
import multiprocessing
import os

import pytest

from batchai_recipes.service.engines.supervision.processes import process_identity
from batchai_recipes.service.engines.supervision.task_record import (
    TaskRecord,
    is_supervised,
    read_record,
)


@pytest.fixture
def path(tmp_path):
    """Where a record will be."""
    return str(tmp_path / "process-0.record")


def test_a_task_that_nobody_claimed_has_no_record(path):
    """Nor has one whose folder is not there."""
    assert read_record(path) is None
    assert read_record(f"{path}/deeper") is None
    assert not is_supervised(path)


def test_it_tells_claim_main_process_and_end(path, tmp_path):
    """And whether the supervisor lives, as the lock does."""
    identity = process_identity(os.getpid())
    record = TaskRecord.claim(path, identity)
    reading = read_record(path)
    assert (reading.supervisor, reading.main, reading.ended) == (identity, None, None)
    assert reading.is_alive
    assert is_supervised(path)
    record.make_durable()
    record.add("main", {"pid": 2})
    record.add("ended", {"reason": "exited"})
    os.close(record._descriptor)
    reading = read_record(path)
    assert (reading.main, reading.ended) == ({"pid": 2}, {"reason": "exited"})
    assert not reading.is_alive
    assert [entry.name for entry in tmp_path.iterdir()] == ["process-0.record"]


def test_a_claim_is_final(path):
    """Whether or not its supervisor lives."""
    first = TaskRecord.claim(path, {"pid": 1})
    assert TaskRecord.claim(path, {"pid": 2}) is None
    os.close(first._descriptor)
    assert TaskRecord.claim(path, {"pid": 3}) is None
    assert read_record(path).supervisor == {"pid": 1}


@pytest.mark.parametrize("last", ["flock", "write"])
def test_a_claim_that_is_being_made_is_none_yet(path, tmp_path, monkeypatch, last):
    """A supervisor that dies in the midst of it has started nothing, and the task can be run."""
    identity = process_identity(os.getpid())

    def die(*_):
        raise KeyboardInterrupt

    def nobody_claimed():
        assert read_record(path) is None
        assert not is_supervised(path)
        assert list(tmp_path.glob("*.record")) == []

    with monkeypatch.context() as patched:
        patched.setattr(fcntl if last == "flock" else os, last, die)
        with pytest.raises(KeyboardInterrupt):
            TaskRecord.claim(path, identity)
    nobody_claimed()
    seen = []
    with monkeypatch.context() as patched:
        patched.setattr(os, "link", lambda old, new: (nobody_claimed(), seen.append((old, new))))
        TaskRecord.claim(path, identity)
    assert [new for _, new in seen] == [path]
    record = TaskRecord.claim(path, identity)
    assert read_record(path).supervisor == identity
    os.close(record._descriptor)


def _race(path, start, results):
    start.wait()
    results.put(TaskRecord.claim(path, {"pid": os.getpid()}) is not None)


def test_of_many_claims_at_once_one_succeeds(path):
    """Whoever it is."""
    context = multiprocessing.get_context("fork")
    start, results = context.Event(), context.Queue()
    racers = [context.Process(target=_race, args=(path, start, results)) for _ in range(8)]
    for racer in racers:
        racer.start()
    start.set()
    won = [results.get(timeout=30) for _ in racers]
    for racer in racers:
        racer.join()
    assert sorted(won) == [False] * 7 + [True]

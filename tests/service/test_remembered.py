"""What was read of the records, and when it is read again."""

import threading

import pytest

from batchai_recipes.service.remembered import Remembered


@pytest.mark.parametrize("survives", [True, False])
def test_what_was_committed_is_seen_at_once(store, survives):
    """By whoever asks after the block that wrote it, in any thread."""
    known = Remembered(
        store,
        lambda name: store.one("SELECT key1 FROM accounts WHERE name = ?", (name,)),
        survives_power_loss=survives,
    )
    seen = []
    for number in range(20):
        with store.write(survives_power_loss=survives) as records:
            records.execute("INSERT OR REPLACE INTO accounts VALUES ('a', ?, '')", (str(number),))
        thread = threading.Thread(target=lambda: seen.append(known("a")["key1"]))
        thread.start()
        thread.join()

    assert seen == [str(number) for number in range(20)]


def test_what_is_not_there_is_remembered_until_it_is(store):
    """None is an answer too."""
    asked = []

    def load(name):
        asked.append(name)
        return store.one("SELECT key1 FROM accounts WHERE name = ?", (name,))

    known = Remembered(store, load)
    assert known("a") is None
    assert known("a") is None
    assert asked == ["a"]
    with store.write() as records:
        records.execute("INSERT INTO accounts VALUES ('a', 'k', '')")
    assert known("a")["key1"] == "k"


def test_what_need_not_survive_a_loss_of_power_is_no_reason_to_read_the_rest_again(store):
    """Each file that is made commits an entry, and changes nothing of its account."""
    asked = []
    known = Remembered(store, asked.append)
    entries = Remembered(store, asked.append, survives_power_loss=False)
    for one in (known, entries):
        one("a")
    with store.write(survives_power_loss=False) as records:
        records.execute("DELETE FROM file_entries")
    known("a")
    assert asked == ["a", "a"]
    entries("a")
    assert asked == ["a", "a", "a"]


def test_memory_is_bounded(store):
    """Of very many keys the older ones are asked anew."""
    known = Remembered(store, str)
    for number in range(5000):
        assert known(number) == str(number)

    assert len(known._kept) <= 1024

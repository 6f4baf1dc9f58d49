"""Directories of shares, asked for by several clients at a time."""

import threading

import pytest

from batchai_recipes.service.files.guard import Guard
from batchai_recipes.service.files.nouns import Nouns
from batchai_recipes.service.files.paths import Location, SharePath


class Meanwhile(Guard):
    """A guard that lets another client ask for something once it has let its own through."""

    ask = None

    def write(self, known):
        """Let the other one ask; it may have to wait until this request is done."""
        super().write(known)
        type(self).ask.start()
        type(self).ask.join(0.2)


@pytest.fixture
def directories(server, share):
    """The directories of the service's shares, and the place of one of them."""
    nouns = Nouns.of(server.state, server.store, server.clock, sources=None)
    place = Location("batchtest", share, SharePath.parse("d"))
    nouns.directories.create(place, {"key": "old"})
    return nouns.directories, place


def test_of_two_changes_at_once_neither_undoes_the_other(directories):
    """The one sets properties, the other one metadata."""
    known, place = directories
    Meanwhile.ask = threading.Thread(target=known.set_metadata, args=(place, {"key": "new"}))
    known.touch(place, Meanwhile())
    Meanwhile.ask.join()

    assert known.properties(place).entry.metadata == {"key": "new"}

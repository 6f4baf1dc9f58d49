"""The service put together."""

import sys
import uuid
from datetime import datetime, timedelta, timezone
from urllib.parse import urlsplit

import pytest

from batchai_recipes.service.app import Service, ServiceOptions
from batchai_recipes.service.batchai import OPERATIONS_KEPT
from batchai_recipes.service.clock import iso_timestamp
from batchai_recipes.service.engines.local import LocalEngine
from batchai_recipes.service.listener import Listener, PortInUseError, bind
from batchai_recipes.service.state_directory import StateDirectory
from batchai_recipes.service.store import Store

if sys.version_info < (3, 11):
    from exceptiongroup import ExceptionGroup

NOW = datetime(2026, 1, 15, tzinfo=timezone.utc)


class StoppedClock:
    """A clock that stands still."""

    def now(self):
        """Return always the same time."""
        return NOW


@pytest.fixture
def state(tmp_path):
    """A state directory with one operation that ended long ago, one that has just ended."""
    state = StateDirectory(tmp_path)
    state.create()
    store = Store(state.database)
    for ended_at in (NOW - OPERATIONS_KEPT - timedelta(seconds=1), NOW):
        with store.write() as records:
            records.execute(
                "INSERT INTO operations VALUES (?, 's', 'l', 'k', 'i', 'create', 'Succeeded', "
                "'t', ?, NULL)",
                (str(uuid.uuid4()), iso_timestamp(ended_at)),
            )
    store.close()
    return state


def operations(state):
    """Count the operations on record."""
    store = Store(state.database)
    with store.read() as records:
        (count,) = records.execute("SELECT count(*) FROM operations").fetchone()
    store.close()
    return count


@pytest.mark.parametrize(("until_unused", "left"), [(False, 1), (True, 0)])
def test_old_operations_are_forgotten(state, until_unused, left):
    """All of them when nobody is left who could ask."""
    options = ServiceOptions(state, until_unused=until_unused, clock=StoppedClock())
    service = Service(options)
    service.start()
    service.stop()

    assert operations(state) == left


def test_a_service_that_cannot_start_leaves_nothing_running(state):
    """The port that it had taken is free again."""
    taken = bind("127.0.0.1", 0)
    port = taken.getsockname()[1]
    with pytest.raises(PortInUseError, match=str(port)):
        Service(ServiceOptions(state, files_port=port)).start()
    taken.close()

    bind("127.0.0.1", port).close()


def test_what_is_said_of_jobs_reaches_the_engine(tmp_path, monkeypatch):
    """Containers and the limit of memory."""
    said = {}

    class Engine(LocalEngine):
        def __init__(self, state, **options):
            said.update(options)
            super().__init__(state, **options)

    monkeypatch.setattr("batchai_recipes.service.batchai.LocalEngine", Engine)
    state = StateDirectory(tmp_path)
    state.create()
    service = Service(ServiceOptions(state, containers="never", memory_limit_bytes=1 << 30))
    service.start()
    service.stop()

    assert said == {"containers": "never", "memory_limit_bytes": 1 << 30}


def test_when_one_part_does_not_stop_the_others_do(state, monkeypatch):
    """Its error is raised in the end, and no port is left taken."""

    class Broken(Listener):
        def stop(self):
            super().stop()
            raise RuntimeError("broken")

    monkeypatch.setattr("batchai_recipes.service.app.Listener", Broken)
    service = Service(ServiceOptions(state))
    address = service.start()
    with pytest.raises(ExceptionGroup, match="did not stop") as caught:
        service.stop()

    assert [str(error) for error in caught.value.exceptions] == ["broken"]
    for url in (address.files_endpoint, address.secure_files_endpoint, address.endpoint):
        bind("127.0.0.1", urlsplit(url).port).close()
    service.stop()  # nothing is left to stop


def test_a_part_that_does_not_stop_hides_no_reason_for_not_starting(state, monkeypatch):
    """The reason is raised, the other thing is in the log."""

    class Broken(Listener):
        def start(self):
            raise RuntimeError("no start")

    def no_stop(_self):
        raise RuntimeError("no stop")

    monkeypatch.setattr("batchai_recipes.service.app.Listener", Broken)
    monkeypatch.setattr("batchai_recipes.service.app.FileServer.stop", no_stop)
    with pytest.raises(RuntimeError, match="no start"):
        Service(ServiceOptions(state)).start()

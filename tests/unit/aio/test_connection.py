"""The twin's connection: what it makes, when, and that it closes it."""

import asyncio
import subprocess
import sys
import threading
import time

import pytest
from attrs import evolve
from azure.core.credentials import AccessToken

from batchai_recipes import BatchAIRecipesError, ConfigurationError
from batchai_recipes.aio import Connection


class OwnCredential:
    """A synchronous credential of a caller's."""

    def __init__(self):
        self.asked_in = []

    def get_token(self, *_, **__):
        """Give a token."""
        self.asked_in.append(threading.current_thread())
        return AccessToken("own", int(time.time()) + 3600)


class OwnAsynchronousCredential(OwnCredential):
    """An asynchronous one, which stays the caller's to close."""

    closed = False

    async def get_token(self, *_, **__):
        """Give a token."""
        return super().get_token()

    async def close(self):
        """Note it."""
        self.closed = True

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        await self.close()


def test_a_client_is_made_when_it_is_first_used_and_closed_with_the_connection(settings):
    """One of each, however often it is asked for."""

    async def main():
        async with Connection(settings) as connection:
            clients = connection._bridged.clients
            before = [getattr(clients, f"_{name}") for name in NAMES]
            made = [getattr(connection, name) for name in NAMES]
            again = [getattr(connection, name) for name in NAMES]
            sessions = list(clients._sessions.values())
            open_before = [session.closed for session in sessions]
        return before, made == again, open_before, [session.closed for session in sessions]

    names = [None] * len(NAMES)
    assert asyncio.run(main()) == (names, True, [False], [True])


NAMES = ("batchai", "resources", "files", "downloads")


@pytest.mark.parametrize("name", [*NAMES, "settings", "journals", "storage", "state_dir"])
def test_one_that_is_not_open_says_so(settings, name):
    """Before its block and after it."""
    connection = Connection(settings)

    async def main():
        async with connection:
            with pytest.raises(BatchAIRecipesError, match="open already"):
                await connection.__aenter__()
        await connection.close()

    with pytest.raises(BatchAIRecipesError, match="`async with` block"):
        getattr(connection, name)
    asyncio.run(main())
    with pytest.raises(BatchAIRecipesError, match="`async with` block"):
        getattr(connection, name)
    assert repr(connection) == "aio.Connection(not open)"


@pytest.mark.parametrize("kind", [OwnCredential, OwnAsynchronousCredential])
def test_a_callers_own_credential_is_asked(endpoint, settings, kind):
    """A synchronous one in a thread; neither is closed."""
    endpoint.on("GET", "/workspaces", {"value": []})
    credential = kind()

    async def main():
        async with Connection(settings, credential=credential) as connection:
            return [workspace async for workspace in connection.batchai.workspaces.list()]

    assert asyncio.run(main()) == []
    assert endpoint.requests[-1].headers["Authorization"] == "Bearer own"
    in_thread = [thread is not threading.main_thread() for thread in credential.asked_in]
    assert in_thread == [kind is OwnCredential]
    assert not getattr(credential, "closed", False)


def test_what_is_wrong_with_settings_is_told_on_entering(settings, monkeypatch):
    """As the synchronous half tells it."""
    monkeypatch.delenv("BATCHAI_ENDPOINT", raising=False)
    incomplete = evolve(settings, tenant_id=None, client_id=None, client_secret=None)

    async def enter(connection):
        async with connection:
            pytest.fail("it cannot be opened")

    with pytest.raises(ConfigurationError, match="lack tenant_id, client_id, client_secret"):
        asyncio.run(enter(Connection(incomplete)))
    with pytest.raises(ConfigurationError, match="BATCHAI_ENDPOINT is not set"):
        asyncio.run(enter(Connection.from_environment()))
    with pytest.raises(ConfigurationError, match="profile"):
        asyncio.run(enter(Connection.from_profile("nobody's")))


def test_who_is_told_of_the_end_is_told_once_also_when_cancelled(settings):
    """In a thread, as it may take a while."""
    told = []

    async def main():
        closing = asyncio.Event()
        loop = asyncio.get_running_loop()

        def on_close():
            loop.call_soon_threadsafe(closing.set)
            told.append(threading.current_thread() is not threading.main_thread())

        async def work():
            async with Connection(settings, on_close=on_close):
                pass

        task = asyncio.create_task(work())
        await closing.wait()
        task.cancel()
        await asyncio.wait([task])

    asyncio.run(main())
    assert told == [True]


def test_importing_the_twin_loads_no_client():
    """Neither Azure's packages nor aiohttp nor requests."""
    program = (
        "import sys, batchai_recipes.aio; "
        "print(*{m.partition('.')[0] for m in sys.modules} "
        "& {'azure', 'aiohttp', 'msrest', 'requests', 'rich'})"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)

    assert done.stdout.strip() == b""

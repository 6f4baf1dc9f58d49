"""The synchronous half's fixtures, with the asynchronous twin behind its face."""

import asyncio
from contextvars import copy_context

import aiohttp
import pytest
from twin_face import LOOP, Face, answering

from batchai_recipes import aio


@pytest.fixture
def loop():
    """An event loop of the test's own."""
    LOOP.loop, LOOP.context = asyncio.new_event_loop(), copy_context()
    yield LOOP.loop
    LOOP.loop.run_until_complete(LOOP.loop.shutdown_asyncgens())
    LOOP.loop.run_until_complete(LOOP.loop.shutdown_default_executor())
    LOOP.loop.close()
    LOOP.loop = None


@pytest.fixture
def endpoint(endpoint, monkeypatch):
    """Answer the asynchronous clients too, whose waits pass at once."""

    async def at_once(*_):
        pass

    monkeypatch.setattr("azure.core.pipeline.transport.AsyncHttpTransport.sleep", at_once)
    monkeypatch.setattr(aiohttp.ClientSession, "_request", answering(endpoint))
    return endpoint


@pytest.fixture
def connection(loop, endpoint, settings):
    """A connection of the twin to the endpoint."""
    with Face(aio.Connection(settings)) as connection:
        yield connection


@pytest.fixture
def waits(waits, monkeypatch):
    """Tell how long the asynchronous clients waited too."""

    async def waited(_, seconds):
        waits.append(seconds)

    monkeypatch.setattr("azure.core.pipeline.transport.AsyncHttpTransport.sleep", waited)
    return waits

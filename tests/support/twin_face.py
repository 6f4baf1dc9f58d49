"""The asynchronous twin with the synchronous half's face, so that its tests run on both.

What is awaited is waited for here, in an event loop of the test's own; the services' answers are
those that the test has written down for the synchronous clients.
"""

import asyncio
import importlib
import inspect
import io
import sys
from collections.abc import AsyncGenerator, Callable, Iterator
from contextvars import copy_context
from http import HTTPStatus
from types import ModuleType
from typing import Any
from urllib.parse import urlencode

import aiohttp
import requests
import urllib3
from multidict import CIMultiDict
from typing_extensions import Self

import batchai_recipes
from batchai_recipes import aio
from batchai_recipes.aio.fiber import run
from batchai_recipes.runs.download import Downloads
from batchai_recipes.staging.upload import create_share, upload


class TestLoop:
    """The event loop of the present test."""

    __test__ = False

    def __init__(self) -> None:
        self.loop: asyncio.AbstractEventLoop | None = None
        self.context = copy_context()

    def wait(self, awaitable: Any) -> Any:
        """Run the loop until something has been awaited."""

        async def awaited() -> Any:
            return await awaitable

        assert self.loop is not None
        # One context for all, as if one task did everything.
        options = {"context": self.context} if sys.version_info >= (3, 11) else {}
        return self.loop.run_until_complete(self.loop.create_task(awaited(), **options))


LOOP = TestLoop()
_FACED = (aio.JobRun, aio.JobOutput, aio.OpenOutput, aio.TrainingSession)


def faced(value: Any) -> Any:
    """Return a value as the synchronous half would have it."""
    if inspect.isawaitable(value):
        value = LOOP.wait(value)
    if isinstance(value, AsyncGenerator):
        return _iterated(value)
    if isinstance(value, _FACED):
        return Face(value)
    return tuple(map(faced, value)) if type(value) is tuple else value


def _iterated(values: AsyncGenerator[Any, None]) -> Iterator[Any]:
    try:
        while True:
            try:
                value = LOOP.wait(anext(values))
            except StopAsyncIteration:
                return
            yield faced(value)
    finally:
        LOOP.wait(values.aclose())


class Face:
    """One of the twin's objects, with methods that wait."""

    def __init__(self, twin: Any) -> None:
        self._twin = twin

    def __getattr__(self, name: str) -> Any:
        if not hasattr(self._twin, name):  # something inside of the synchronous half
            return getattr(_Inside(self._twin._session), name)
        found = getattr(self._twin, name)
        if name == "state" and isinstance(self._twin, aio.JobRun):
            return LOOP.wait(found())
        if not callable(found):
            return faced(found)

        def call(*args: Any, **kwargs: Any) -> Any:
            value = found(*args, **kwargs)
            value = LOOP.wait(value) if inspect.isawaitable(value) else value
            return self if value is self._twin else faced(value)

        return call

    def __enter__(self) -> Self:
        LOOP.wait(self._twin.__aenter__())
        return self

    def __exit__(self, *error: object) -> None:
        LOOP.wait(self._twin.__aexit__(*error))

    def __iter__(self) -> Iterator[Any]:
        return _iterated(self._twin)

    def __repr__(self) -> str:
        return repr(self._twin).removeprefix("aio.")


class _Inside:
    """What the synchronous half keeps to itself; its functions run as the twin runs them."""

    def __init__(self, thing: Any) -> None:
        self._thing = thing

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._thing, name)
        if callable(found):
            return lambda *args: LOOP.wait(run(found, *args))
        return _Inside(found) if hasattr(found, "__dict__") else found


def _with_twin(kind: Any) -> Callable[..., Face]:
    def make(*args: Any, **kwargs: Any) -> Face:
        plain = {name: getattr(value, "_twin", value) for name, value in kwargs.items()}
        return faced(kind(*(getattr(value, "_twin", value) for value in args), **plain))

    return make


def _in_fiber(function: Callable[..., Any]) -> Callable[..., Any]:
    def call(connection: Face, *args: Any, **kwargs: Any) -> Any:
        return LOOP.wait(run(function, connection._twin._bridged, *args, **kwargs))

    return call


class _DownloadsFace:
    def __init__(self, connection: Face, *args: Any) -> None:
        async def make() -> Downloads:
            return Downloads(connection._twin._bridged, *args)

        self._downloads = LOOP.wait(make())

    def fetch(self, *args: Any) -> None:
        LOOP.wait(run(self._downloads.fetch, *args))

    def close(self) -> None:
        LOOP.wait(run(self._downloads.close))


class _Session:
    """The twin's session: a class, since its class methods are tested too."""

    attach = staticmethod(_with_twin(aio.TrainingSession.attach))

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        return _with_twin(aio.TrainingSession)(*args, **kwargs)


_FACES = {
    batchai_recipes.TrainingSession: _Session,
    batchai_recipes.JobRun: _with_twin(aio.JobRun),
    upload: _in_fiber(upload),
    create_share: _in_fiber(create_share),
    Downloads: _DownloadsFace,
}


def on_twin(*modules: str, left_out: dict[str, str] | None = None) -> dict[str, Any]:
    """Return tests of the synchronous half, and their fixtures, that use the twin in its place.

    Args:
        modules: Names of modules below ``tests``; the fixtures of ``conftest`` modules among them.
        left_out: Names of tests that are of the synchronous half alone, with the reason.
    """
    found: dict[str, Any] = {}
    for name in modules:
        for own, value in vars(_twin_module(name)).items():
            is_fixture = type(value).__name__ == "FixtureFunctionDefinition"
            if own.startswith("test_") or is_fixture:
                found[own] = value
    for test in left_out or {}:
        del found[test]  # a KeyError for one that there is no more
    return found


def _twin_module(name: str) -> ModuleType:
    module = importlib.import_module(name)
    for own, value in list(vars(module).items()):
        if isinstance(value, Callable) and value.__hash__ and value in _FACES:
            setattr(module, own, _FACES[value])
    return module


def answering(endpoint: Any) -> Callable[..., Any]:
    """Return what stands in for ``aiohttp.ClientSession._request``, with an endpoint's answers."""

    async def request(_: Any, method: str, url: Any, **options: Any) -> "_Response":
        asked = requests.PreparedRequest()
        asked.method, asked.url = method, str(url)
        asked.headers = requests.structures.CaseInsensitiveDict(options.get("headers") or {})
        asked.body = _body(options.get("data"))
        await asyncio.sleep(0)
        try:
            status, headers, body = endpoint._respond(asked)
            return _Response(_status(asked, status), headers, body)
        except requests.RequestException as error:
            raise aiohttp.ClientConnectionError(str(error)) from error

    return request


def _status(asked: requests.PreparedRequest, status: int) -> int:
    """Return what the file service really answers, where the older client takes another too."""
    if "//files.test/" not in asked.url:
        return status
    if asked.method == "DELETE" and status == HTTPStatus.OK:
        return HTTPStatus.ACCEPTED
    changes = "comp=metadata" in asked.url or "comp=rename" in asked.url
    return HTTPStatus.OK if changes and status == HTTPStatus.CREATED else status


def _body(data: Any) -> bytes:
    if data is None:
        return b""
    if isinstance(data, dict):
        return urlencode(data).encode()
    if isinstance(data, io.IOBase):
        return data.read()
    return data.encode() if isinstance(data, str) else bytes(data)


class _Response:
    """What azure-core and the library use of an ``aiohttp.ClientResponse``."""

    reason = "as answered"

    def __init__(self, status: int, headers: dict[str, str], body: Any) -> None:
        self.status = status
        self.headers = CIMultiDict(headers)
        content = body.encode() if isinstance(body, str) else body
        if isinstance(content, bytes) and content.startswith(b"<"):
            # The newer client goes by it, where the older takes what it expects.
            self.headers.setdefault("Content-Type", "application/xml")
        if self.headers.get("Last-Modified") == "now":
            # Likewise: it reads dates that the older one leaves alone.
            self.headers["Last-Modified"] = "Tue, 24 Nov 2026 12:00:00 GMT"
        self._body = io.BytesIO(content) if isinstance(content, bytes) else content
        self.content = self

    async def read(self, size: int = -1) -> bytes:
        await asyncio.sleep(0)
        try:
            part = self._body.read(size)
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            raise aiohttp.ClientPayloadError(str(error)) from error
        return part

    async def iter_chunked(self, size: int) -> AsyncGenerator[bytes, None]:
        while part := await self.read(size):
            yield part

    def close(self) -> None:
        """Nothing is open."""

    release = close

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    async def wait_for_close(self) -> None:
        """Nothing is open."""

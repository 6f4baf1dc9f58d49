"""The asynchronous Azure clients as the synchronous half's code calls them."""

from collections.abc import Awaitable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from batchai_recipes.aio.fiber import wait_for

if TYPE_CHECKING:
    from azure.core import AsyncPipelineClient
    from azure.core.polling import AsyncLROPoller
    from azure.core.rest import AsyncHttpResponse, HttpRequest

_END: Final = object()


class Bridge:
    """Gives an asynchronous client of management the face of the synchronous one.

    A call waits for its answer, a list is an iterator, a long-running operation a poller. All else
    is the client's own.

    Args:
        client: The client, or one of its groups of operations.
    """

    def __init__(self, client: object) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._client, name)
        return partial(_call, found) if callable(found) else Bridge(found)


def _call(operation: Any, *args: Any, **kwargs: Any) -> Any:
    made = operation(*args, **kwargs)
    if hasattr(made, "__aiter__"):
        return _items(made)
    first = [made]

    def ask() -> Awaitable[Any]:
        asked: Awaitable[Any] = first.pop() if first else operation(*args, **kwargs)
        return asked

    answer = wait_for(ask)
    return _Poller(answer) if hasattr(answer, "polling_method") else answer


def _items(pages: Any) -> Iterator[Any]:
    items = pages.__aiter__()
    while (item := wait_for(partial(_next, items))) is not _END:
        yield item


async def _next(items: Any) -> Any:
    try:
        return await items.__anext__()
    except StopAsyncIteration:
        return _END


class _Poller:
    def __init__(self, poller: "AsyncLROPoller[Any]") -> None:
        self._poller = poller

    def result(self) -> Any:
        return wait_for(self._poller.result)

    def wait(self) -> None:
        wait_for(self._poller.wait)


class DownloadBridge:
    """Gives azure-core's asynchronous client of plain requests the synchronous one's face.

    Args:
        client: The client.
    """

    def __init__(self, client: "AsyncPipelineClient[HttpRequest, AsyncHttpResponse]") -> None:
        self._client = client

    def send_request(self, request: "HttpRequest", *, stream: bool = False) -> "_Answer":
        """Send a request and return the answer, its content still to be read if it is streamed."""
        return _Answer(wait_for(lambda: self._client.send_request(request, stream=stream)))


class _Answer:
    def __init__(self, response: "AsyncHttpResponse") -> None:
        self._response = response
        self.status_code = response.status_code
        self.headers: Mapping[str, str] = response.headers

    def iter_raw(self) -> Iterator[bytes]:
        return _items(self._response.iter_raw())

    def close(self) -> None:
        wait_for(self._response.close)

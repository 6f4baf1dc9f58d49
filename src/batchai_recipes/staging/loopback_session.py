"""HTTP of azure-storage-file to a service on this machine, without what only a network needs."""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

import requests
import urllib3

_MOST_CONNECTIONS: Final = 64
_KNOWN: Final = frozenset({"timeout", "proxies"})


class LoopbackSession(requests.Session):
    """A session for one endpoint by http on this machine.

    Preparing a request for whatever may be on its way (proxies, cookies, redirections,
    authentication) takes the client longer than sending a small file. None of it is there on
    loopback, so this one hands requests to urllib3 as they are, which is also what they were signed
    as. What it is asked for beyond that goes the ordinary way.

    Args:
        endpoint: The address of the service.

    Example:
        >>> with LoopbackSession("http://127.0.0.1:1/account") as session:
        ...     session.trust_env
        False
    """

    def __init__(self, endpoint: str) -> None:
        super().__init__()
        self.trust_env = False  # a proxy of the environment cannot reach this machine
        self._origin = "{0.scheme}://{0.netloc}".format(urlsplit(endpoint))
        self._pool = urllib3.connection_from_url(
            self._origin, maxsize=_MOST_CONNECTIONS, retries=False
        )

    def request(  # type: ignore[override]  # the options that remain go on as they are
        self,
        method: str,
        url: str,
        params: Mapping[str, str | None] | None = None,
        data: Any = None,
        headers: Mapping[str, str | None] | None = None,
        **options: Any,
    ) -> requests.Response:
        """Send a request.

        Args:
            method: The HTTP method.
            url: The URL without a query.
            params: The query; what is None is left out.
            data: The body.
            headers: The headers; what is None is left out.
            options: As of requests. With others than a time limit the request is sent as requests
                sends it.

        Returns:
            The answer, read to its end.

        Raises:
            requests.ConnectionError: There is no answer, or no whole one.
        """
        path = url.removeprefix(self._origin)
        if not _KNOWN.issuperset(options) or options.get("proxies") or path == url:
            return super().request(method, url, params, data, headers, **options)
        query = urlencode(
            [(key, value) for key, value in (params or {}).items() if value is not None]
        )
        try:
            answer = self._pool.urlopen(
                method,
                f"{path}?{query}" if query else path,
                data,
                {name: value for name, value in (headers or {}).items() if value is not None},
                timeout=_limits(options.get("timeout")),
                redirect=False,
            )
        except urllib3.exceptions.HTTPError as error:
            raise requests.ConnectionError(error) from error
        response = _response(answer, url)
        for hook in self.hooks["response"]:
            response = hook(response) or response
        return response

    def close(self) -> None:
        """Close the connections."""
        self._pool.close()
        super().close()


def _limits(timeout: Any) -> urllib3.Timeout:
    connect, read = timeout if isinstance(timeout, tuple) else (timeout, timeout)
    return urllib3.Timeout(connect=connect, read=read)


def _response(answer: urllib3.BaseHTTPResponse, url: str) -> requests.Response:
    response = requests.Response()
    response.url = url
    response.status_code = answer.status
    response.reason = answer.reason or ""
    response.headers.update(answer.headers)
    response.raw = answer
    # As requests itself keeps what has been read; it has no other way in.
    response._content = answer.data  # noqa: SLF001 - see above
    response._content_consumed = True  # type: ignore[attr-defined] # noqa: SLF001 - see above
    return response

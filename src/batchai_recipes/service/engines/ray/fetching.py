"""Getting files from the service's file endpoint."""

import os
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Final
from urllib.parse import quote

import requests
from requests.adapters import HTTPAdapter

from batchai_recipes.service.engines.ray.share_copies import ShareSource

_WORKERS: Final = 8
_PART_BYTES: Final = 4 << 20  # the most that the service checks and answers in one piece
_TIMEOUT_SECONDS: Final = (10.0, 60.0)


class FetchError(Exception):
    """The service's file endpoint did not give a file; the message says which and why."""


class Fetching:
    """Gets files in parallel, the parts of large ones too."""

    def __init__(self) -> None:
        self._files = ThreadPoolExecutor(_WORKERS, "fetch-files")
        self._parts = ThreadPoolExecutor(_WORKERS, "fetch-parts")
        self._session = requests.Session()
        self._session.trust_env = False  # the service is in the machines' own network
        adapter = HTTPAdapter(pool_maxsize=2 * _WORKERS, max_retries=2)
        self._session.mount("http://", adapter)

    @property
    def files(self) -> ThreadPoolExecutor:
        """What works on several files at a time."""
        return self._files

    def check(self, source: ShareSource) -> None:
        """See whether a share can be reached.

        Args:
            source: The share.

        Raises:
            FetchError: It cannot.
        """
        self._get(source, "?restype=directory&comp=list&maxresults=1&", {})

    def fetch(self, source: ShareSource, path: str, size: int, place: Path) -> None:
        """Get a file.

        Args:
            source: Its share.
            path: Its path in the share.
            size: How large it is, in bytes.
            place: Where to write it.

        Raises:
            FetchError: It cannot be had.
            OSError: It cannot be written.
        """
        descriptor = os.open(place, os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC)
        try:
            offsets = range(0, size, _PART_BYTES)
            if len(offsets) <= 1:
                self._fetch_part(source, path, descriptor, 0, size)
                return
            parts: Iterable[Future[None]] = [
                self._parts.submit(
                    self._fetch_part, source, path, descriptor, at, min(_PART_BYTES, size - at)
                )
                for at in offsets
            ]
            for part in parts:
                part.result()
        finally:
            os.close(descriptor)

    def _fetch_part(
        self, source: ShareSource, path: str, descriptor: int, offset: int, size: int
    ) -> None:
        if not size:
            return
        wanted = {"x-ms-range": f"bytes={offset}-{offset + size - 1}"}
        data = self._get(source, f"/{quote(path)}?", wanted)
        while data:
            written = os.pwrite(descriptor, data, offset)
            data, offset = data[written:], offset + written

    def _get(self, source: ShareSource, what: str, headers: dict[str, str]) -> bytes:
        try:
            answer = self._session.get(
                f"{source.url}{what}{source.query}", headers=headers, timeout=_TIMEOUT_SECONDS
            )
        except requests.RequestException as error:
            # Its text would have the address with the signature.
            raise FetchError(
                f"{source.url}{what.partition('?')[0]} cannot be reached ({type(error).__name__}): "
                "start the service with --host and an address that the machines of Ray reach"
            ) from None
        if not answer.ok:
            code = answer.headers.get("x-ms-error-code", "")
            raise FetchError(
                f"{source.url}{what.partition('?')[0]}: {answer.status_code} {code}".rstrip()
            )
        return answer.content

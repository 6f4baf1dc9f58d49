"""Downloading files by their links: the parts of large ones side by side, and none twice.

A file that is complete gets the time of the remote file's last change as its own. A later download
leaves it alone while both still have that time and one size: a write on either side would have
given the file another time. That is not done for a file which had changed only just before, since
a clock that ticks every few milliseconds could give the next write the same time.
"""

import base64
import hashlib
import logging
import os
import re
import secrets
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Final

from attrs import frozen

from batchai_recipes.concurrency import Pending, concurrency_of
from batchai_recipes.errors import RequestError, StagingError
from batchai_recipes.pacing import Pacing
from batchai_recipes.refusals import explained
from batchai_recipes.runs.links import (
    TRIES,
    WORTH_ANOTHER_TRY,
    content_length,
    pause_before,
    whole_size,
)
from batchai_recipes.staging.progress import Advance
from batchai_recipes.staging.share_files import HASH_METADATA

if TYPE_CHECKING:
    from azure.core.rest import HttpResponse

    from batchai_recipes.connection import Connection

_LOG: Final = logging.getLogger("batchai_recipes.runs")
_RANGE: Final = 8 << 20
_READ: Final = 1 << 20
# From this version on files tell when they changed.
_HEADERS: Final = {"x-ms-version": "2019-07-07", "Accept-Encoding": "identity"}
_CHANGED: Final = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\.(\d{7})Z")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=timezone.utc)
_SETTLED: Final = timedelta(milliseconds=50)


@frozen
class Source:
    """A file to download.

    Args:
        path: What to call it in messages.
        url: The link that downloads it.
        size: Its size in bytes when it was listed.
    """

    path: str
    url: str
    size: int


class _ChangedError(Exception):
    """The remote file changed while it was being downloaded."""


class Downloads:
    """Downloads files; may be used from several threads.

    Args:
        connection: What sends the requests.
        owner: Whose files they are, for messages.
        advance: Told of bytes that need not be waited for any more.
        max_connections: How many parts of files come at a time, beside the files' first ones.
        pacing: Its clock lets time pass between tries.
    """

    def __init__(
        self,
        connection: "Connection",
        owner: str,
        advance: Advance,
        max_connections: int,
        pacing: Pacing,
    ) -> None:
        self._client = connection.downloads
        self._owner = owner
        self.advance = advance
        self.pacing = pacing
        concurrency = concurrency_of(connection)
        self.aside = concurrency.aside
        self._ranges = concurrency.crew(max_connections, "batchai-range")
        self.slots = concurrency.slots(max_connections)

    def close(self) -> None:
        """Give up what has not come yet."""
        self._ranges.close()

    def fetch(self, source: Source, target: Path) -> None:
        """Download a file, unless the target is it already.

        Args:
            source: The file.
            target: Where to put it; replaced only when the download is complete.

        Raises:
            RequestError: The service did not answer, or the file came incomplete or damaged.
            StagingError: The target cannot be written.
        """
        with explained(f"download {source.path} of {self._owner}"):
            if self._is_there(source, target):
                self.advance(source.size)
                return
            part = target.with_name(f".batchai-{secrets.token_hex(8)}.part")
            try:
                part.parent.mkdir(parents=True, exist_ok=True)
                mark = self._fetch_verified(source, part)
                if mark is not None:
                    os.utime(part, ns=(mark, mark))
                part.replace(target)
            except OSError as error:
                raise StagingError(f"Cannot write {target}: {error.strerror or error}") from error
            finally:
                with suppress(OSError):
                    part.unlink()

    def _is_there(self, source: Source, target: Path) -> bool:
        if target.is_symlink() or not target.is_file():
            return False
        status = target.stat()
        if status.st_size != source.size:
            return False
        with self.slots:
            response = self.send("HEAD", source.url, {})
            response.close()
        headers = {name.lower(): value for name, value in response.headers.items()}
        return (
            response.status_code == HTTPStatus.OK
            and headers.get("content-length") == str(status.st_size)
            and _changed_ns(headers) == status.st_mtime_ns
        )

    def _fetch_verified(self, source: Source, part: Path) -> int | None:
        """Download until what came is what was sent; return the time to mark it with."""
        seen: str | None = None
        for _ in range(TRIES):
            try:
                headers = self._fetch_once(source, part)
            except _ChangedError:
                continue
            expected = _expected_digest(headers)
            if expected is None:
                return _mark(headers)
            digest = self.aside(_digest, part, expected[0])
            # The hash tells what a client once wrote. A job that wrote the file since then, through
            # the mount, left it as it was: two downloads that agree are right, not the hash.
            if digest in {expected[1], seen}:
                return _mark(headers)
            seen = digest
        why = "it came damaged" if seen else "it is being written; wait for the job"
        raise self.failure(source, why)

    def _fetch_once(self, source: Source, part: Path) -> Mapping[str, str]:
        with part.open("wb", buffering=0) as out:
            first = _Piece(self, source, out.fileno())
            if source.size <= _RANGE:
                return first.fetch(0, None)
            headers = first.fetch(0, _RANGE - 1)
            size = whole_size(headers) or 0
            etag = headers.get("etag")
            rest: list[Pending[Mapping[str, str]]] = []
            try:
                for start in range(_RANGE, size, _RANGE):
                    piece = _Piece(self, source, out.fileno(), etag)
                    end = min(start + _RANGE, size) - 1
                    rest.append(self._ranges.submit(piece.fetch, start, end))
                for done in rest:
                    done.result()
            finally:
                # None may still write when the file's descriptor is closed and used anew.
                for done in rest:
                    if not done.cancel():
                        done.exception()
            return headers

    def send(self, method: str, url: str, headers: Mapping[str, str]) -> "HttpResponse":
        """Send a request and return the answer, its content still to be read."""
        from azure.core.rest import HttpRequest  # noqa: PLC0415 - loaded on first use

        request = HttpRequest(method, url, headers={**_HEADERS, **headers})
        return self._client.send_request(request, stream=True)

    def failure(self, source: Source, why: str) -> RequestError:
        """Return the error of a file that cannot be had."""
        return RequestError(f"Failed to download {source.path} of {self._owner}: {why}")


class _Piece:
    """A range of a file on its way, taken up again where a connection dropped.

    Args:
        downloads: What sends the requests.
        source: The file.
        descriptor: The local file's descriptor.
        etag: What the remote file's entity tag has to be; None for any.
    """

    def __init__(
        self, downloads: Downloads, source: Source, descriptor: int, etag: str | None = None
    ) -> None:
        self._downloads = downloads
        self._source = source
        self._descriptor = descriptor
        self._etag = etag
        self._position = 0
        self._end: int | None = None

    def fetch(self, start: int, end: int | None) -> Mapping[str, str]:
        """Fetch from one byte to another, or to the file's end.

        Args:
            start: The first byte.
            end: The last byte; None for the file's.

        Returns:
            The headers of the last answer, their names in lower case.

        Raises:
            _ChangedError: The remote file changed meanwhile.
            RequestError: It cannot be had.
        """
        from azure.core.exceptions import AzureError  # noqa: PLC0415 - loaded on first use

        self._position, self._end = start, end
        for attempt in range(TRIES):
            if attempt:
                _LOG.info("Downloading %s once more", self._source.path)
                self._downloads.pacing.sleep(pause_before(attempt))
            try:
                with self._downloads.slots:
                    headers = self._continue()
            except AzureError:
                if attempt == TRIES - 1:
                    raise
                continue
            if self._end is not None and self._position > self._end:
                self._downloads.advance(self._position - start)
                return headers
        raise self._failure("it came incomplete")

    def _continue(self) -> Mapping[str, str]:
        from azure.core.exceptions import HttpResponseError  # noqa: PLC0415 - loaded on first use

        whole = self._position == 0 and self._end is None
        wanted = f"bytes={self._position}-{'' if self._end is None else self._end}"
        response = self._downloads.send("GET", self._source.url, {} if whole else {"Range": wanted})
        try:
            headers = {name.lower(): value for name, value in response.headers.items()}
            status = response.status_code
            if status in WORTH_ANOTHER_TRY:
                raise HttpResponseError(f"status {status}")
            if status not in {HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT}:
                raise self._failure(f"status {status}")
            self._check_etag(headers.get("etag"))
            if status == HTTPStatus.PARTIAL_CONTENT:
                last = (whole_size(headers) or 0) - 1
                self._end = last if self._end is None else min(self._end, last)
            else:
                self._position = 0
                length = content_length(headers)
                self._end = None if length is None else length - 1
            for chunk in response.iter_raw():
                self._downloads.aside(self._write, chunk)
            if self._end is None:  # an answer of unknown length that ended as it should
                self._end = self._position - 1
        finally:
            response.close()
        return headers

    def _write(self, content: bytes) -> None:
        while content:
            written = os.pwrite(self._descriptor, content, self._position)
            self._position += written
            content = content[written:]

    def _check_etag(self, etag: str | None) -> None:
        if self._etag is not None and etag != self._etag:
            raise _ChangedError
        self._etag = etag

    def _failure(self, why: str) -> RequestError:
        return self._downloads.failure(self._source, why)


def _changed_ns(headers: Mapping[str, str]) -> int | None:
    """Return when a remote file last changed, in nanoseconds since 1970, if that is told."""
    match = _CHANGED.fullmatch(headers.get("x-ms-file-change-time", ""))
    if not match:
        return None
    seconds = datetime.fromisoformat(f"{match[1]}+00:00") - _EPOCH
    return seconds // timedelta(seconds=1) * 10**9 + int(match[2]) * 100


def _mark(headers: Mapping[str, str]) -> int | None:
    """Return the time that marks a local file as this state of the remote one, if one can."""
    changed = _changed_ns(headers)
    try:
        now = parsedate_to_datetime(headers["date"]) - _EPOCH
    except (KeyError, ValueError, TypeError):
        return None
    if changed is None or changed > (now - _SETTLED) // timedelta(microseconds=1) * 1000:
        return None
    return changed


def _expected_digest(headers: Mapping[str, str]) -> tuple[str, str] | None:
    """Return the algorithm and the digest of the whole file, if a client recorded one."""
    sha256 = headers.get(f"x-ms-meta-{HASH_METADATA}")
    if sha256:
        return ("sha256", sha256)
    ranged = "content-range" in headers
    md5 = headers.get("x-ms-content-md5") or (None if ranged else headers.get("content-md5"))
    try:
        return ("md5", base64.b64decode(md5, validate=True).hex()) if md5 else None
    except ValueError:
        return None


def _digest(path: Path, algorithm: str) -> str:
    # MD5 is the file service's own checksum against damage, not against attack.
    digest = hashlib.new(algorithm, usedforsecurity=False)
    with path.open("rb", buffering=0) as file:
        while chunk := file.read(_READ):
            digest.update(chunk)
    return digest.hexdigest()

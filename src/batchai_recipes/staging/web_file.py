"""A file of the web that goes to a share by way of this machine."""

import hashlib
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Final, TypeAlias
from urllib.parse import unquote, urlsplit

from attrs import evolve, field, frozen

from batchai_recipes.errors import ConfigurationError, StagingError

_SHA256: Final = re.compile(r"[0-9a-f]{64}")


def _checked_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:  # brackets that hold no IPv6 address
        raise ConfigurationError("That is not an address of a file: check its brackets") from None
    if not usable:
        raise ConfigurationError(f"{_shown(url)!r} is not an address of a file: use http or https")
    return url


def _checked_sha256(sha256: str | None) -> str | None:
    if sha256 is None:
        return None
    if not _SHA256.fullmatch(sha256.lower()):
        raise ConfigurationError(f"{sha256!r} is not a SHA-256: use its 64 hexadecimal digits")
    return sha256.lower()


@frozen
class StagedUrl:
    """A file of the web and its place on the share.

    Args:
        url: Its address, http or https; not shown, since it may carry a signature.
        path: Its path on the share.
        sha256: The SHA-256 that it must have; None for any.

    Raises:
        ConfigurationError: The address or the hash is none.

    Example:
        >>> StagedUrl("https://example.org/train.csv?key=secret", "data/train.csv")
        StagedUrl(path='data/train.csv', sha256=None)
    """

    url: str = field(repr=False, converter=_checked_url)
    path: str
    sha256: str | None = field(default=None, converter=_checked_sha256)

    @contextmanager
    def fetched(self, fetch_file: "Fetch | None" = None) -> Iterator[Path]:
        """Fetch the file and keep it while the block runs.

        Args:
            fetch_file: Fetches what is at an address; None for requests.

        Yields:
            Where it is.

        Raises:
            StagingError: It cannot be had, came incomplete, or has another hash.
        """
        with tempfile.TemporaryDirectory(prefix="batchai-recipes-") as folder:
            target = Path(folder, "file")
            try:
                answer = (fetch_file or fetch)(self.url, target)
            except NotFetchedError as error:
                raise self._failure(str(error)) from error
            except OSError as error:
                raise self._failure(error.strerror or str(error)) from error
            if answer.status != HTTPStatus.OK:
                raise self._failure(f"it answers {answer.status} {answer.reason}")
            if answer.length is not None and answer.length != target.stat().st_size:
                raise self._failure("it came incomplete")
            if self.sha256 not in {None, answer.sha256}:
                raise self._failure(
                    f"its SHA-256 is {answer.sha256}, not {self.sha256}: check both"
                )
            yield target

    def _failure(self, why: str) -> StagingError:
        return StagingError(f"Cannot stage {_shown(self.url)}: {why}")


class NotFetchedError(Exception):
    """There was no answer, or no whole one; the message does not have the address."""


@frozen
class WebAnswer:
    """What came of fetching a file.

    Args:
        status: The HTTP status; nothing is kept of the file but with 200.
        reason: The status in words.
        length: How long the server says the file is, in bytes; None where it does not.
        sha256: The SHA-256 of what came, in hexadecimal digits.
    """

    status: int
    reason: str
    length: int | None
    sha256: str = ""


Fetch: TypeAlias = Callable[[str, Path], WebAnswer]
"""Writes what is at an address to a file; raises a NotFetchedError, or an OSError of the file."""

FETCH_HEADERS: Final = {"Accept-Encoding": "identity"}
"""Not compressed once more on the way: the length is that of the file."""
FETCH_TIMEOUT_SECONDS: Final = 60
FETCH_BLOCK_BYTES: Final = 1 << 20


def fetch(url: str, target: Path) -> WebAnswer:
    """Write what is at an address to a file.

    Args:
        url: The address.
        target: The file.

    Raises:
        NotFetchedError: There was no answer, or no whole one.
        OSError: The file cannot be written.
    """
    import requests  # noqa: PLC0415 - loaded on first use

    try:
        with requests.get(
            url, stream=True, timeout=FETCH_TIMEOUT_SECONDS, headers=FETCH_HEADERS
        ) as response:
            length = told_length(response.headers.get("Content-Length"))
            answer = WebAnswer(response.status_code, response.reason, length)
            if answer.status != HTTPStatus.OK:
                return answer
            digest = hashlib.sha256()
            with target.open("wb") as out:
                for chunk in response.iter_content(FETCH_BLOCK_BYTES):
                    digest.update(chunk)
                    out.write(chunk)
    except requests.RequestException as error:
        # The message of requests has the address with its query.
        raise NotFetchedError(type(error).__name__) from error
    return evolve(answer, sha256=digest.hexdigest())


def told_length(header: str | None) -> int | None:
    """Return how long a file is by its Content-Length; None where that tells no length.

    Args:
        header: The header's value; None where there is none.

    Example:
        >>> told_length("5"), told_length("5, 5")
        (5, None)
    """
    return int(header) if header and header.isascii() and header.isdigit() else None


def name_of(url: str) -> str:
    """Return the name of a file from its address.

    Args:
        url: The address.

    Raises:
        ConfigurationError: It is none.

    Example:
        >>> name_of("https://example.org/data/train%20set.csv?key=secret")
        'train set.csv'
    """
    return unquote(urlsplit(_checked_url(url)).path.rpartition("/")[2])


def _shown(url: str) -> str:
    """Return an address without what may be secret in it."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()

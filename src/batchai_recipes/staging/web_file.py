"""A file of the web that goes to a share by way of this machine."""

import hashlib
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from attrs import field, frozen

from batchai_recipes.errors import ConfigurationError, StagingError

_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_TIMEOUT_SECONDS: Final = 60
_CHUNK: Final = 1 << 20


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
    def fetched(self) -> Iterator[Path]:
        """Fetch the file and keep it while the block runs.

        Yields:
            Where it is.

        Raises:
            StagingError: It cannot be had, came incomplete, or has another hash.
        """
        import requests  # noqa: PLC0415 - loaded on first use

        with tempfile.TemporaryDirectory(prefix="batchai-recipes-") as folder:
            target = Path(folder, "file")
            digest = hashlib.sha256()
            try:
                with (
                    requests.get(
                        self.url,
                        stream=True,
                        timeout=_TIMEOUT_SECONDS,
                        # Not compressed once more on the way: the length is that of the file.
                        headers={"Accept-Encoding": "identity"},
                    ) as response,
                    target.open("wb") as out,
                ):
                    if response.status_code != requests.codes.ok:
                        raise self._failure(f"it answers {response.status_code} {response.reason}")
                    for chunk in response.iter_content(_CHUNK):
                        digest.update(chunk)
                        out.write(chunk)
                    length = response.headers.get("Content-Length")
                if length is not None and int(length) != target.stat().st_size:
                    raise self._failure("it came incomplete")
            except requests.RequestException as error:
                # The message of requests has the address with its query.
                raise self._failure(type(error).__name__) from error
            except OSError as error:
                raise self._failure(error.strerror or str(error)) from error
            if self.sha256 not in {None, digest.hexdigest()}:
                raise self._failure(
                    f"its SHA-256 is {digest.hexdigest()}, not {self.sha256}: check both"
                )
            yield target

    def _failure(self, why: str) -> StagingError:
        return StagingError(f"Cannot stage {_shown(self.url)}: {why}")


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

"""Addresses of accounts, shares and files, in both styles that clients write.

Path style, ``http://127.0.0.1:PORT/ACCOUNT/SHARE/path``, needs no name resolution. Host style is
``https://ACCOUNT.file.core.windows.net/SHARE/path``; any host whose second label is ``file`` is
taken for it, whatever follows.
"""

import re
from functools import lru_cache
from typing import Literal
from urllib.parse import unquote_to_bytes, urlsplit

from attrs import frozen

from batchai_recipes.service.files.errors import ErrorCode, FileServiceError, invalid_parameter
from batchai_recipes.service.files.paths import Location, SharePath

_HOST_STYLE = re.compile(r"(?P<account>[a-z0-9]{3,24})\.file\..+", re.IGNORECASE)
_SHARE = re.compile(r"[a-z0-9](-?[a-z0-9])*")
_SNAPSHOT = re.compile(
    r"(?P<seconds>[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})(\.(?P<fraction>[0-9]{1,7}))?Z"
)
_SHARE_LENGTHS = range(3, 64)

Style = Literal["host", "path"]


@frozen
class Address:
    """What a request is about.

    Args:
        account: The storage account.
        share: The share, empty where the request is about the account.
        path: The decoded path below the share, not yet validated.
        style: Whether the account stood in the host name or in the path.
        snapshot: The time that names the snapshot of the share; empty for the share itself. The
            query tells it, see :func:`snapshot_time`.
    """

    account: str
    share: str
    path: str
    style: Style
    snapshot: str = ""

    @property
    def location(self) -> Location:
        """The validated place in the share.

        Raises:
            FileServiceError: The share's name or the path cannot be one.
        """
        return Location(
            self.account, share_name(self.share), SharePath.parse(self.path), self.snapshot
        )


@lru_cache(maxsize=1024)
def resolve(host: str, raw_path: bytes) -> Address:
    """Find out what a request is about.

    Args:
        host: The value of the Host header.
        raw_path: The path as sent, without the query. ``%2F`` separates like ``/``: one of Azure's
            clients writes nested directories so.

    Raises:
        FileServiceError: The path is not percent-encoded UTF-8, or names no account.

    Example:
        >>> resolve("127.0.0.1:8080", b"/demo/data/a%2Fb.txt")
        Address(account='demo', share='data', path='a/b.txt', style='path', snapshot='')
        >>> resolve("demo.file.localhost", b"/data")
        Address(account='demo', share='data', path='', style='host', snapshot='')
    """
    try:
        text = unquote_to_bytes(raw_path).decode()
    except UnicodeDecodeError as error:
        raise FileServiceError(
            ErrorCode.INVALID_URI, "The path is not UTF-8; percent-encode its UTF-8 bytes."
        ) from error
    parts = text.removeprefix("/")
    host_style = _HOST_STYLE.fullmatch(host.partition(":")[0])
    if host_style:
        share, _, path = parts.partition("/")
        return Address(host_style["account"].lower(), share, path, "host")
    account, _, rest = parts.partition("/")
    share, _, path = rest.partition("/")
    if not account or (path and not share):
        raise FileServiceError(
            ErrorCode.INVALID_URI, "The path must read /ACCOUNT/SHARE/path-to-file."
        )
    return Address(account, share, path, "path")


def share_name(name: str) -> str:
    """Validate the name of a share.

    Args:
        name: The name.

    Returns:
        The name.

    Raises:
        FileServiceError: Azure Files would refuse the name.
    """
    if len(name) not in _SHARE_LENGTHS or not _SHARE.fullmatch(name):
        raise FileServiceError(
            ErrorCode.INVALID_RESOURCE_NAME,
            f"{name[:80]!r} cannot name a share: use 3 to 63 lower-case letters, digits and single "
            "hyphens, with a letter or digit at both ends.",
        )
    return name


def snapshot_time(text: str) -> str:
    """Bring the time that names a snapshot into the form in which the service names them.

    Args:
        text: The value of ``sharesnapshot``.

    Raises:
        FileServiceError: It is no time.

    Example:
        >>> snapshot_time("2026-01-02T03:04:05.6Z")
        '2026-01-02T03:04:05.6000000Z'
    """
    match = _SNAPSHOT.fullmatch(text)
    if match is None:
        raise invalid_parameter("sharesnapshot", text, "it must be a time as x-ms-snapshot told it")
    return f"{match['seconds']}.{match['fraction'] or '':0<7}Z"


def share_of_url(url: str) -> tuple[str, str]:
    """Read a share's URL.

    Args:
        url: The URL in either style; more path than the share is not expected.

    Returns:
        The account and the share.

    Raises:
        ValueError: It is not the URL of a share.

    Example:
        >>> share_of_url("https://demo.file.core.windows.net/data")
        ('demo', 'data')
        >>> share_of_url("http://127.0.0.1:8080/demo/data")
        ('demo', 'data')
    """
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises where it is none
        address = resolve(parts.hostname or "", parts.path.encode())
        share = share_name(address.share)
    except (FileServiceError, ValueError) as error:
        raise _no_share_url(url, str(error)) from error
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise _no_share_url(url, "it does not start with http:// or https:// and a host")
    if address.path.strip("/"):
        raise _no_share_url(url, "it goes on below the share")
    return address.account, share


def _no_share_url(url: str, reason: str) -> ValueError:
    return ValueError(
        f"{url!r} is not the URL of a file share ({reason}): expected "
        "https://ACCOUNT.file.core.windows.net/SHARE or http://HOST:PORT/ACCOUNT/SHARE"
    )

"""How the storage clients are made: whom to talk to, and how often to try again."""

import base64
import binascii
from typing import Any
from urllib.parse import urlsplit

from batchai_recipes.volume_sync.request import VolumeRequest

CONCURRENCY = 4
"""How many parts of one large file move at once."""
CONNECTION_SECONDS = 10
READ_SECONDS = 60
_LOOPBACK = {"127.0.0.1", "::1", "localhost"}


def client_settings(volume: VolumeRequest, retry_policy: Any) -> dict[str, Any]:
    """Return the keyword arguments that the clients of files and of blobs share.

    Args:
        volume: The volume.
        retry_policy: How often to try again, a policy of the client's own package.

    Raises:
        ValueError: The key is not base64.
    """
    try:
        base64.b64decode(volume.key, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("the key is not base64") from None  # the key stays out of the message
    return {
        "account_url": volume.endpoint,
        # A name and a key and not the key alone: at a path-style endpoint the client cannot read
        # the account's name out of the URL.
        "credential": {"account_name": volume.account, "account_key": volume.key},
        "retry_policy": retry_policy,
        "connection_timeout": CONNECTION_SECONDS,
        "read_timeout": READ_SECONDS,
        # A proxy of the environment cannot reach this machine itself.
        "use_env_settings": urlsplit(volume.endpoint).hostname not in _LOOPBACK,
    }


def unquoted(etag: str | None) -> str:
    """Return an ETag as headers and listings write it alike: without quotes.

    Args:
        etag: The ETag.

    Example:
        >>> unquoted('"0x8D"')
        '0x8D'
    """
    return (etag or "").strip('"')

"""Signatures by account keys."""

import base64
import binascii
import hmac
from collections.abc import Iterable


def sign(key: str, string_to_sign: str) -> str:
    """Sign a text as Azure Storage does.

    Args:
        key: An account key, base64.
        string_to_sign: The text.

    Returns:
        The signature, base64 of HMAC-SHA256.

    Example:
        >>> sign("a2V5", "text")
        'avqQRqlXnK0UOjhMG1ZLmiUNJ9b2pj+fIL86dZTJ4sY='
    """
    return base64.b64encode(_digest(key, string_to_sign.encode())).decode()


def is_signed(keys: Iterable[str], candidates: Iterable[str], signature: str) -> bool:
    """Tell whether a signature is by one of some keys, in time that does not depend on how wrong.

    Args:
        keys: The keys, base64.
        candidates: The texts that the signature may be of.
        signature: The signature, base64.
    """
    keys = tuple(keys)
    try:
        given = base64.b64decode(signature, validate=True)
    except (binascii.Error, ValueError):
        return False
    matches = [
        hmac.compare_digest(_digest(key, text.encode()), given)
        for text in candidates
        for key in keys
    ]
    return any(matches)


def _digest(key: str, text: bytes) -> bytes:
    return hmac.digest(base64.b64decode(key), text, "sha256")

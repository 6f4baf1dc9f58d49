"""MD5 sums of content, with which clients find out whether bytes arrived as they were sent."""

import base64
import binascii
import hashlib
from collections.abc import Mapping
from typing import Final

from batchai_recipes.service.files.body import Content
from batchai_recipes.service.files.errors import ErrorCode, FileServiceError

MD5: Final = "Content-MD5"
_LENGTH: Final = 16


def md5_of(content: Content) -> str:
    """Return the MD5 of some bytes, base64.

    Args:
        content: The bytes.
    """
    return base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode()


def decode_md5(text: str) -> bytes:
    """Read the value of a Content-MD5 header.

    Args:
        text: 16 bytes in base64.

    Raises:
        FileServiceError: It is something else.
    """
    try:
        digest = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        digest = b""
    if len(digest) != _LENGTH:
        raise FileServiceError(
            ErrorCode.INVALID_MD5, "Content-MD5 must be the base64 of the 16 bytes of an MD5."
        )
    return digest


def check_body(headers: Mapping[str, str], body: Content) -> tuple[tuple[str, str], ...]:
    """Make sure that a body is the one whose MD5 the client sent along, if it sent one.

    Args:
        headers: The request's headers by lower-case name.
        body: The body.

    Returns:
        The header for the answer; none where the client sent none.

    Raises:
        FileServiceError: The MD5 is none or another one.
    """
    text = headers.get("content-md5")
    if text is None:
        return ()
    actual = md5_of(body)
    if decode_md5(text) != decode_md5(actual):
        raise FileServiceError(
            ErrorCode.MD5_MISMATCH,
            "The body that arrived has another MD5 than Content-MD5 says; send it again.",
            details={"UserSpecifiedMd5": text, "ServerCalculatedMd5": actual},
        )
    return ((MD5, actual),)

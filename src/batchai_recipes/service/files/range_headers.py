"""The range that a request is about, from its headers ``x-ms-range`` and ``Range``."""

from collections.abc import Mapping
from typing import Final

from batchai_recipes.service.files.byte_range import ByteRange, RangeRequest
from batchai_recipes.service.files.errors import invalid_header, missing_header

RANGE: Final = "x-ms-range"


def wanted_range(headers: Mapping[str, str]) -> RangeRequest | None:
    """Return the range that a request wants to read.

    ``x-ms-range`` wins over ``Range``. A ``Range`` that is no single range of bytes is ignored, as
    HTTP has it.

    Args:
        headers: The request's headers by lower-case name.

    Returns:
        The range, or None for everything.

    Raises:
        FileServiceError: ``x-ms-range`` is no range.
    """
    text = headers.get(RANGE)
    if text is None:
        return RangeRequest.parse(headers.get("range", ""))
    wanted = RangeRequest.parse(text)
    if wanted is None:
        raise invalid_header(RANGE, text, "it must read bytes=START-END or bytes=START-")
    return wanted


def target_range(headers: Mapping[str, str]) -> ByteRange:
    """Return the range that a request wants to write, both ends of which it must name.

    Args:
        headers: The request's headers by lower-case name.

    Raises:
        FileServiceError: The request names no such range.
    """
    text = headers.get(RANGE) or headers.get("range")
    if text is None:
        raise missing_header(RANGE)
    wanted = RangeRequest.parse(text)
    if wanted is None or wanted.start is None or wanted.end is None:
        raise invalid_header(RANGE, text, "it must read bytes=START-END")
    return ByteRange(wanted.start, wanted.end)

"""What those who read files by their links have in common: trying again, and what headers tell."""

from collections.abc import Mapping
from typing import Final

TRIES: Final = 4
"""How often a request is sent at most."""
WORTH_ANOTHER_TRY: Final = frozenset({408, 429, 500, 502, 503, 504})
"""The statuses of trouble that passes."""

_FIRST_PAUSE_SECONDS: Final = 0.5


def pause_before(attempt: int) -> float:
    """Return how many seconds to wait before another try.

    Args:
        attempt: The number of the try, 1 for the first after a failure.

    Example:
        >>> [pause_before(attempt) for attempt in (1, 2, 3)]
        [0.5, 1.0, 2.0]
    """
    return _FIRST_PAUSE_SECONDS * 2.0 ** (attempt - 1)


def content_length(headers: Mapping[str, str]) -> int | None:
    """Return how many bytes an answer has, if it tells.

    Args:
        headers: The answer's headers by lower-case name.
    """
    return _number(headers.get("content-length", ""))


def whole_size(headers: Mapping[str, str]) -> int | None:
    """Return how many bytes the whole file has of which an answer is a part, if it tells.

    Args:
        headers: The answer's headers by lower-case name.

    Example:
        >>> [whole_size({"content-range": text}) for text in ("bytes 0-9/20", "bytes */5")]
        [20, 5]
    """
    return _number(headers.get("content-range", "").rpartition("/")[2])


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() else None

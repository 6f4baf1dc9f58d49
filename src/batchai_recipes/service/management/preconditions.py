"""Conditions on a change: ``If-Match`` and ``If-None-Match``.

The contract of Batch AI names neither header, but its answers carry an ETag; whoever sends one back
means it.

Source: RFC 9110, sections 13.1.1 and 13.1.2.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from attrs import frozen

from batchai_recipes.service.management.errors import ManagementError

_ANY: Final = "*"


@frozen
class Preconditions:
    """What a request says of the state that it is for.

    Args:
        if_match: The ETags of which the resource must have one, or '*' for any; None for no
            condition.
        if_none_match: The ETags of which it must have none, or '*' if it must not be there; None
            for no condition.
    """

    if_match: str | None = None
    if_none_match: str | None = None

    @classmethod
    def of(cls, headers: Mapping[bytes, bytes]) -> "Preconditions":
        """Return what a request's headers say.

        Args:
            headers: The request's headers, names in lower case.
        """
        if b"if-match" not in headers and b"if-none-match" not in headers:
            return NO_PRECONDITIONS
        return cls(_text(headers.get(b"if-match")), _text(headers.get(b"if-none-match")))

    def check(self, etag: str | None) -> None:
        """Refuse to change a resource where a condition is not met.

        Args:
            etag: The resource's ETag; None where there is no such resource.

        Raises:
            ManagementError: A condition is not met (412).

        Example:
            >>> Preconditions(if_match='"1", "2"').check('"2"')
            >>> Preconditions(if_none_match="*").check(None)
        """
        if self.if_match is not None and not _names(self.if_match, etag):
            present = "there is no such resource" if etag is None else f"its ETag is {etag}"
            raise _failed("If-Match", f"{present}. Get it again, and repeat the change if need be.")
        if self.if_none_match is not None and _names(self.if_none_match, etag):
            raise _failed("If-None-Match", f"the resource is there, and its ETag is {etag}.")

    def is_unchanged(self, etag: str) -> bool:
        """Tell whether a reader has what there is.

        Args:
            etag: The resource's ETag.
        """
        return self.if_none_match is not None and _names(self.if_none_match, etag)


NO_PRECONDITIONS: Final = Preconditions()
"""What a request says that has neither header."""


def _text(header: bytes | None) -> str | None:
    return None if header is None else header.decode("latin-1")


def _names(header: str, etag: str | None) -> bool:
    """Tell whether a header names an ETag."""
    if etag is None:
        return False
    return header.strip() == _ANY or etag in (part.strip() for part in header.split(","))


def _failed(header: str, why: str) -> ManagementError:
    return ManagementError(
        HTTPStatus.PRECONDITION_FAILED,
        "PreconditionFailed",
        f"The condition in '{header}' is not met: {why}",
        target=header,
    )

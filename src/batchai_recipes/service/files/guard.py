"""What must hold for a request to be carried out: its conditional headers and its lease.

A guard is asked while the thing is locked, so that nothing changes between the look and the deed.
"""

from collections.abc import Mapping
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Final

from attrs import evolve, frozen

from batchai_recipes.service.files.entries import Properties
from batchai_recipes.service.files.errors import (
    EMPTY,
    ErrorCode,
    FileServiceError,
    invalid_header,
)
from batchai_recipes.service.files.leases import LEASE_ID, Lease, check_lease

_CONDITIONS: Final = frozenset(
    {"if-match", "if-none-match", "if-modified-since", "if-unmodified-since"}
)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=timezone.utc)


@frozen
class Guard:
    """The conditions of one request.

    Args:
        headers: The request's headers by lower-case name.
        now: The time of day.
    """

    headers: Mapping[str, str] = EMPTY
    now: datetime = _EPOCH

    def of_source(self) -> "Guard":
        """Return the guard of the file that a rename takes away."""
        return self._with_lease("x-ms-source-lease-id")

    def of_destination(self) -> "Guard":
        """Return the guard of the file that a rename replaces."""
        return self._with_lease("x-ms-destination-lease-id")

    def after_write(self) -> "Guard":
        """Return what still counts for the second part of one change: the lease."""
        return self._with_lease(LEASE_ID)

    def read(self, known: Properties) -> None:
        """Make sure that a file or directory may be read.

        Args:
            known: What is known of it.

        Raises:
            FileServiceError: A condition is not met; 304 where the client's copy is still good.
        """
        check_lease(known.entry.lease, self.headers, self.now, of_share=False, writes=False)
        if not self.headers.keys().isdisjoint(_CONDITIONS):
            check_conditions(self.headers, known.etag, known.last_modified, writes=False)

    def write(self, known: Properties | None) -> None:
        """Make sure that a file or directory may be changed, replaced or deleted.

        Args:
            known: What is known of it; None where it does not exist yet.

        Raises:
            FileServiceError: A condition is not met.
        """
        lease = Lease() if known is None else known.entry.lease
        check_lease(lease, self.headers, self.now, of_share=False, writes=True)
        if self.headers.keys().isdisjoint(_CONDITIONS):
            return
        if known is not None:
            check_conditions(self.headers, known.etag, known.last_modified, writes=True)
        elif "if-match" in self.headers:
            raise _not_met("If-Match", ErrorCode.CONDITION_NOT_MET)

    def share(self, lease: Lease, etag: str, modified: datetime, *, writes: bool) -> None:
        """Make sure that a share may be described, changed or deleted.

        Args:
            lease: The lease on it.
            etag: Its ETag.
            modified: When its properties last changed.
            writes: Whether the request would change anything.

        Raises:
            FileServiceError: A condition is not met.
        """
        check_lease(lease, self.headers, self.now, of_share=True, writes=writes)
        check_conditions(self.headers, etag, modified, writes=writes)

    def _with_lease(self, name: str) -> "Guard":
        # The conditional headers are about the new name.
        kept = {LEASE_ID: self.headers[name]} if name in self.headers else {}
        return evolve(self, headers=kept)


FREE: Final = Guard()
"""The guard that lets everything through but what is leased."""


def check_conditions(
    headers: Mapping[str, str], etag: str, modified: datetime, *, writes: bool
) -> None:
    """Make sure that the conditional headers of a request are met, in the order of RFC 9110.

    Args:
        headers: The request's headers by lower-case name.
        etag: The present ETag.
        modified: The time of the last change.
        writes: Whether the request would change anything.

    Raises:
        FileServiceError: One is not met.
    """
    modified = modified.replace(microsecond=0)  # as `Last-Modified` tells it
    if "if-match" in headers:
        if not _names(headers["if-match"], etag):
            raise _not_met("If-Match", ErrorCode.CONDITION_NOT_MET)
    elif "if-unmodified-since" in headers and modified > _time(headers, "if-unmodified-since"):
        raise _not_met("If-Unmodified-Since", ErrorCode.CONDITION_NOT_MET)
    otherwise = ErrorCode.CONDITION_NOT_MET if writes else ErrorCode.NOT_MODIFIED
    if "if-none-match" in headers:
        if _names(headers["if-none-match"], etag):
            raise _not_met("If-None-Match", otherwise)
    elif "if-modified-since" in headers and modified <= _time(headers, "if-modified-since"):
        raise _not_met("If-Modified-Since", otherwise)


def _names(value: str, etag: str) -> bool:
    return any(
        tag.strip().removeprefix("W/").strip('"') in {"*", etag.strip('"')}
        for tag in value.split(",")
    )


def _time(headers: Mapping[str, str], name: str) -> datetime:
    try:
        moment = parsedate_to_datetime(headers[name])
    except (ValueError, OverflowError) as error:
        raise invalid_header(name, headers[name], "it must be a date of RFC 1123") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


def _not_met(header: str, code: ErrorCode) -> FileServiceError:
    return FileServiceError(code, f"The condition of the header {header} is not met.")

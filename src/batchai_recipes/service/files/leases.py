"""Leases: the right to change a file or a share, held by who knows an id.

A lease is a value; what holds it stores it as JSON. A file's lease never ends by itself; a share's
lasts 15 to 60 seconds, or until it is released.

Source:
    https://learn.microsoft.com/rest/api/storageservices/lease-file
    https://learn.microsoft.com/rest/api/storageservices/lease-share
"""

import json
import re
import uuid
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final, Literal

from attrs import evolve, frozen

from batchai_recipes.service.files.errors import ErrorCode, FileServiceError, invalid_header

INFINITE: Final = -1
LEASE_ID: Final = "x-ms-lease-id"
_DURATIONS: Final = range(15, 61)
_LONGEST_BREAK: Final = 60
_GUID: Final = re.compile(r"\{?[0-9a-f]{8}(-?[0-9a-f]{4}){3}-?[0-9a-f]{12}\}?", re.IGNORECASE)

LeaseState = Literal["available", "leased", "expired", "breaking", "broken"]


@frozen
class Lease:
    """A lease, or the absence of one.

    Args:
        id: What its holder shows; empty where there never was one.
        duration: For how many seconds it was taken; -1 for ever.
        ends: When it runs out or has been broken, in seconds since 1970; None for never.
        is_broken: Whether it has been broken, or will be when it ends.
    """

    id: str = ""
    duration: int = INFINITE
    ends: float | None = None
    is_broken: bool = False

    @classmethod
    def load(cls, text: str) -> "Lease":
        """Read a lease as it is stored.

        Args:
            text: The JSON of :meth:`dump`.
        """
        fields = json.loads(text)
        if not fields:
            return cls()
        return cls(fields["id"], fields["duration"], fields["ends"], fields["isBroken"])

    def dump(self) -> str:
        """Return the lease in the form in which it is stored."""
        if not self.id:
            return "{}"
        return json.dumps(
            {
                "id": self.id,
                "duration": self.duration,
                "ends": self.ends,
                "isBroken": self.is_broken,
            }
        )

    def state(self, now: datetime) -> LeaseState:
        """Return the state in Azure's words.

        Args:
            now: The time of day.
        """
        if not self.id:
            return "available"
        over = self.ends is not None and now.timestamp() >= self.ends
        if self.is_broken:
            return "broken" if over else "breaking"
        return "expired" if over else "leased"

    def is_held(self, now: datetime) -> bool:
        """Tell whether changes take its id.

        Args:
            now: The time of day.
        """
        return self.state(now) in {"leased", "breaking"}

    def headers(self, now: datetime) -> tuple[tuple[str, str], ...]:
        """Return the headers that describe it.

        Args:
            now: The time of day.
        """
        state = self.state(now)
        headers = [
            ("x-ms-lease-status", "locked" if self.is_held(now) else "unlocked"),
            ("x-ms-lease-state", state),
        ]
        if state == "leased":
            kind = "infinite" if self.duration == INFINITE else "fixed"
            headers.append(("x-ms-lease-duration", kind))
        return tuple(headers)


NO_LEASE: Final = Lease()
"""That there is no lease."""


def change_lease(
    lease: Lease, headers: Mapping[str, str], now: datetime, *, infinite_only: bool
) -> tuple[Lease, int, tuple[tuple[str, str], ...]]:
    """Do what a request of the operation Lease asks for.

    Args:
        lease: The present lease.
        headers: The request's headers by lower-case name.
        now: The time of day.
        infinite_only: Whether it is a file's, which lasts for ever.

    Returns:
        The lease as it now is, the status of the answer and its headers.

    Raises:
        FileServiceError: The lease does not allow it, or the request cannot be understood.
    """
    action = headers.get("x-ms-lease-action", "").lower()
    if action == "acquire":
        duration = _duration(headers, infinite_only=infinite_only)
        taken = _acquired(lease, _guid(headers, "x-ms-proposed-lease-id"), duration, now)
        return taken, 201, ((LEASE_ID, taken.id),)
    if action == "break":
        broken = _broken(lease, headers, now, at_once=infinite_only)
        remaining = 0 if broken.ends is None else max(0, round(broken.ends - now.timestamp()))
        return broken, 202, (("x-ms-lease-time", str(remaining)),)
    if action not in {"change", "release"} and (infinite_only or action != "renew"):
        raise invalid_header(
            "x-ms-lease-action",
            action,
            f"it must be acquire, change, release{'' if infinite_only else ', renew'} or break",
        )
    _check_holder(lease, _required_guid(headers, LEASE_ID), headers)
    if action == "release":
        return Lease(), 200, ()
    if action == "renew":
        if lease.is_broken:
            raise FileServiceError(
                ErrorCode.LEASE_IS_BROKEN, "The lease has been broken; acquire a new one."
            )
        renewed = _of_duration(lease.id, lease.duration, now)
        return renewed, 200, ((LEASE_ID, renewed.id),)
    if lease.state(now) != "leased":
        raise _no_lease()
    changed = evolve(lease, id=_required_guid(headers, "x-ms-proposed-lease-id"))
    return changed, 200, ((LEASE_ID, changed.id),)


class LeaseChange:
    """One request of the operation Lease: what it makes of a lease, and what it answers.

    Args:
        headers: The request's headers by lower-case name.
        now: The time of day.
        infinite_only: Whether it is about a file, whose leases last for ever.
    """

    def __init__(self, headers: Mapping[str, str], now: datetime, *, infinite_only: bool) -> None:
        self._headers = headers
        self._now = now
        self._infinite_only = infinite_only
        self.status = 200
        self.answer_headers: tuple[tuple[str, str], ...] = ()

    def apply(self, lease: Lease) -> Lease:
        """Return the lease as the request leaves it, and remember the answer.

        Args:
            lease: The present lease.

        Raises:
            FileServiceError: The lease does not allow it, or the request cannot be understood.
        """
        changed, self.status, self.answer_headers = change_lease(
            lease, self._headers, self._now, infinite_only=self._infinite_only
        )
        return changed


def check_lease(
    lease: Lease, headers: Mapping[str, str], now: datetime, *, of_share: bool, writes: bool
) -> None:
    """Make sure that a lease lets a request through.

    Args:
        lease: The lease of what the request is about.
        headers: The request's headers by lower-case name.
        now: The time of day.
        of_share: Whether it is a share's lease.
        writes: Whether the request would change what is leased.

    Raises:
        FileServiceError: It does not.
    """
    shown = headers.get(LEASE_ID)
    held = lease.is_held(now)
    if shown is None:
        if held and writes:
            raise FileServiceError(
                ErrorCode.LEASE_ID_MISSING,
                "There is a lease on it; send its id in x-ms-lease-id, or break the lease.",
            )
        return
    if not held:
        raise FileServiceError(
            ErrorCode.LEASE_NOT_PRESENT_WITH_SHARE
            if of_share
            else ErrorCode.LEASE_NOT_PRESENT_WITH_FILE,
            "The request names a lease, and there is none: send no x-ms-lease-id.",
        )
    if not _same(shown, lease.id):
        raise FileServiceError(
            ErrorCode.LEASE_ID_MISMATCH_WITH_SHARE
            if of_share
            else ErrorCode.LEASE_ID_MISMATCH_WITH_FILE,
            "The lease on it has another id than x-ms-lease-id says.",
        )


def _acquired(lease: Lease, proposed: str | None, duration: int, now: datetime) -> Lease:
    state = lease.state(now)
    again = proposed is not None and _same(proposed, lease.id)
    if state == "breaking":
        raise FileServiceError(
            ErrorCode.LEASE_IS_BREAKING, "The lease is being broken; try again when that is done."
        )
    if state == "leased" and not again:
        raise FileServiceError(
            ErrorCode.LEASE_ALREADY_PRESENT,
            "There is a lease on it already; wait for its end, or break it.",
        )
    return _of_duration(proposed or str(uuid.uuid4()), duration, now)


def _of_duration(lease_id: str, duration: int, now: datetime) -> Lease:
    ends = None
    if duration != INFINITE:
        ends = (now + timedelta(seconds=duration)).timestamp()
    return Lease(lease_id, duration, ends)


def _broken(lease: Lease, headers: Mapping[str, str], now: datetime, *, at_once: bool) -> Lease:
    if lease.state(now) == "available":
        raise _no_lease()
    if lease.state(now) == "broken":
        return lease
    present = now.timestamp()
    # Without a period, a lease of limited time runs to its end, and an infinite one ends now.
    period = (lease.ends - present) if lease.ends is not None else 0.0
    text = headers.get("x-ms-lease-break-period")
    if text is not None and not at_once:
        wanted = _whole(text)
        if wanted is None or wanted > _LONGEST_BREAK:
            raise invalid_header(
                "x-ms-lease-break-period", text, f"use 0 to {_LONGEST_BREAK} seconds"
            )
        period = min(wanted, period) if lease.ends is not None else wanted
    return evolve(lease, ends=present + max(0.0, period), is_broken=True)


def _check_holder(lease: Lease, shown: str, headers: Mapping[str, str]) -> None:
    if not lease.id:
        raise _no_lease()
    # Repeating a change whose answer was lost is allowed.
    repeated = headers.get("x-ms-lease-action", "").lower() == "change" and _same(
        headers.get("x-ms-proposed-lease-id", ""), lease.id
    )
    if not _same(shown, lease.id) and not repeated:
        raise FileServiceError(
            ErrorCode.LEASE_ID_MISMATCH_WITH_LEASE,
            "The lease on it has another id than x-ms-lease-id says.",
        )


def _duration(headers: Mapping[str, str], *, infinite_only: bool) -> int:
    name = "x-ms-lease-duration"
    text = headers.get(name, str(INFINITE))
    if text == str(INFINITE):
        return INFINITE
    if infinite_only:
        raise invalid_header(name, text, "a lease on a file lasts for ever: use -1")
    duration = _whole(text)
    if duration is None or duration not in _DURATIONS:
        raise invalid_header(name, text, "use 15 to 60 seconds, or -1 for ever")
    return duration


def _whole(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < len("10000") else None


def _guid(headers: Mapping[str, str], name: str) -> str | None:
    text = headers.get(name)
    if text is not None and not _GUID.fullmatch(text):
        raise invalid_header(name, text, "it must be a GUID")
    return text


def _required_guid(headers: Mapping[str, str], name: str) -> str:
    text = _guid(headers, name)
    if text is None:
        raise FileServiceError(
            ErrorCode.LEASE_ID_MISSING if name == LEASE_ID else ErrorCode.MISSING_REQUIRED_HEADER,
            f"This operation needs the header {name}.",
            details={"HeaderName": name},
        )
    return text


def _same(one: str, other: str) -> bool:
    return _bare(one) == _bare(other)


def _bare(lease_id: str) -> str:
    return lease_id.strip("{}").replace("-", "").lower()


def _no_lease() -> FileServiceError:
    return FileServiceError(
        ErrorCode.LEASE_NOT_PRESENT_WITH_LEASE, "There is no lease on it; acquire one first."
    )

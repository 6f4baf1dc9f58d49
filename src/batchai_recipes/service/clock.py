"""The time of day, passed in wherever it is read, so that tests move it by hand."""

from datetime import datetime, timezone
from typing import Protocol


class Clock(Protocol):
    """Tells the time of day."""

    def now(self) -> datetime:
        """Return the present time, aware and in UTC."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        """Return the present time, aware and in UTC."""
        return datetime.now(timezone.utc)


def iso_timestamp(moment: datetime) -> str:
    """Write a time as Batch AI does: UTC, milliseconds, trailing zeros trimmed.

    Args:
        moment: An aware time.

    Returns:
        The time in ISO 8601 with a closing ``Z``.

    Source:
        Recordings of the real service, 2018.

    Example:
        >>> from datetime import datetime, timezone
        >>> iso_timestamp(datetime(2018, 6, 6, 20, 44, 54, 740_000, tzinfo=timezone.utc))
        '2018-06-06T20:44:54.74Z'
        >>> iso_timestamp(datetime(2018, 6, 6, 20, 44, 54, tzinfo=timezone.utc))
        '2018-06-06T20:44:54Z'
    """
    utc = moment.astimezone(timezone.utc)
    text = utc.strftime("%Y-%m-%dT%H:%M:%S")
    milliseconds = f"{utc.microsecond // 1000:03d}".rstrip("0")
    return f"{text}.{milliseconds}Z" if milliseconds else f"{text}Z"

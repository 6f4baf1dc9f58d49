"""What the tags of sessions say in words, read the same by the library and by the service."""

from datetime import datetime, timezone


def moment(text: str) -> datetime | None:
    """Read a time as sessions write it, or other programs.

    Args:
        text: The time in ISO 8601.

    Returns:
        The time; None where it is none, or has no time zone.

    Example:
        >>> moment("2026-11-24T12:00:00Z") == moment("2026-11-24T13:00:00+01:00")
        True
        >>> moment("soon")
    """
    try:
        read = datetime.fromisoformat(text.replace("Z", "+00:00"))  # Python 3.10 reads no Z
        return read.astimezone(timezone.utc) if read.tzinfo else None
    except (ValueError, OverflowError):
        return None


def limit(text: str) -> float | None:
    """Read a limit of a cluster.

    Args:
        text: The limit, in seconds.

    Returns:
        The seconds; None where it is no number above 0, as somebody may have changed it.

    Example:
        >>> limit("1.5"), limit("-1"), limit("long")
        (1.5, None, None)
    """
    try:
        seconds = float(text)
    except ValueError:
        return None
    return seconds if seconds > 0 else None

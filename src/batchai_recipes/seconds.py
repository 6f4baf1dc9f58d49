"""Spans of time in seconds, checked where they are given."""

from batchai_recipes.errors import ConfigurationError


def checked_seconds(
    name: str, seconds: float | None, *, without: str, above_zero: bool = False
) -> float | None:
    """Return a time if it is a number of seconds, or None.

    Args:
        name: The argument's name, for the message.
        seconds: The time.
        without: What giving nothing means, for the message.
        above_zero: Whether 0 is no time.

    Raises:
        ConfigurationError: It is no number, or too small.

    Example:
        >>> checked_seconds("timeout", 1.5, without="to wait for ever")
        1.5
    """
    if seconds is None:
        return None
    given: object = seconds  # anything, where the caller checks no types
    is_number = isinstance(given, int | float) and not isinstance(given, bool)
    if is_number and (seconds > 0 if above_zero else seconds >= 0):
        return seconds
    wanted = "seconds above 0" if above_zero else "seconds, 0 or more"
    raise ConfigurationError(f"{name} is {seconds!r}: give {wanted}, or nothing {without}")

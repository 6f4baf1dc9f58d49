"""ISO 8601 durations, as Azure writes time spans on the wire."""

import re
from datetime import timedelta

_DURATION = re.compile(
    r"P(?:(?P<weeks>\d+)W)?(?:(?P<days>\d+)D)?"
    r"(?:T(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+(?:\.\d+)?)S)?)?",
    re.ASCII,
)


def parse_duration(text: str) -> timedelta:
    """Read a duration of weeks, days, hours, minutes and seconds.

    Args:
        text: The duration, such as ``P7D`` or ``PT1H30M``.

    Returns:
        The same as a time span.

    Raises:
        ValueError: It is no such duration. Years and months are none: they have no fixed length.

    Example:
        >>> parse_duration("P1DT2H")
        datetime.timedelta(days=1, seconds=7200)
    """
    match = _DURATION.fullmatch(text)
    parts = {} if match is None else {k: float(v) for k, v in match.groupdict().items() if v}
    if not parts or text.endswith("T"):
        raise ValueError(
            f"{text!r} is not a duration: write days, hours, minutes and seconds like P7D or PT30M"
        )
    try:
        return timedelta(**parts)
    except OverflowError as error:
        raise ValueError(f"{text!r} is longer than any job can run: use P7D or less") from error

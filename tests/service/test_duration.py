"""ISO 8601 durations."""

from datetime import timedelta

import pytest

from batchai_recipes.service.duration import parse_duration


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("P7D", timedelta(days=7)),
        ("PT1H30M", timedelta(hours=1, minutes=30)),
        ("PT0.5S", timedelta(milliseconds=500)),
        ("P1W", timedelta(weeks=1)),
        ("P1DT12H", timedelta(hours=36)),
    ],
)
def test_durations_are_read(text, expected):
    """Weeks, days, hours, minutes and seconds."""
    assert expected == parse_duration(text)


@pytest.mark.parametrize(
    "text", ["", "P", "PT", "P1DT", "7D", "P1Y", "P1M", "1:00:00", "P999999999999W"]
)
def test_what_is_no_duration_is_refused_with_an_example(text):
    """The error shows how to write one."""
    with pytest.raises(ValueError, match="P7D"):
        parse_duration(text)

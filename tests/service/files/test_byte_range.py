"""Byte ranges."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchai_recipes.service.files.byte_range import ByteRange, RangeRequest
from batchai_recipes.service.files.errors import ErrorCode, FileServiceError
from batchai_recipes.service.files.range_headers import target_range, wanted_range

sizes = st.integers(0, 2**42)


@given(st.integers(0, 2**42), st.integers(0, 2**42), sizes)
def test_a_range_means_what_a_slice_does(start, length, size):
    """Within a file, `bytes=a-b` is the bytes from a up to and with b, as far as there are any."""
    wanted = RangeRequest.parse(f"bytes={start}-{start + length}")
    assert wanted is not None

    expected = range(size)[start : start + length + 1]

    if not expected:
        with pytest.raises(FileServiceError) as caught:
            wanted.of_size(size)
        assert ErrorCode.INVALID_RANGE is caught.value.code
        assert f"bytes */{size}" == caught.value.headers["Content-Range"]
    else:
        assert ByteRange(expected[0], expected[-1]) == wanted.of_size(size)
        assert len(expected) == wanted.of_size(size).length


@given(st.integers(0, 2**42), sizes)
def test_open_and_suffix_ranges(number, size):
    """`bytes=n-` is all from n, `bytes=-n` the last n bytes."""
    for text, expected in (
        (f"bytes={number}-", range(size)[number:]),
        (f"bytes=-{number}", range(size)[max(0, size - number) :]),
    ):
        wanted = RangeRequest.parse(text)
        assert wanted is not None
        if expected:
            assert ByteRange(expected[0], expected[-1]) == wanted.of_size(size)
        else:
            with pytest.raises(FileServiceError):
                wanted.of_size(size)


@given(st.text())
def test_any_text_is_a_range_or_none(text):
    """Parsing never fails."""
    wanted = RangeRequest.parse(text)

    assert wanted is None or text.strip().startswith("bytes=")


@pytest.mark.parametrize(
    "text",
    ["", "bytes=", "bytes=-", "bytes=5-4", "bytes=0-1,3-4", "lines=0-1", "bytes=+1-2", "bytes=1"],
)
def test_what_is_no_single_range(text):
    """Azure serves one range; anything else is none."""
    assert RangeRequest.parse(text) is None


def test_numbers_of_any_length_are_taken_in_no_time():
    """A range of a million digits is none."""
    assert RangeRequest.parse(f"bytes={'9' * 1_000_000}-") is None


def test_the_ms_range_wins():
    """x-ms-range counts where both are there; a strange Range is ignored, as HTTP has it."""
    headers = {"x-ms-range": "bytes=1-2", "range": "bytes=3-4"}

    assert RangeRequest(1, 2) == wanted_range(headers)
    assert RangeRequest(3, 4) == wanted_range({"range": "bytes=3-4"})
    assert wanted_range({"range": "bytes=0-1,3-4"}) is None
    assert wanted_range({}) is None
    with pytest.raises(FileServiceError) as caught:
        wanted_range({"x-ms-range": "bytes=2-1"})
    assert ErrorCode.INVALID_HEADER_VALUE is caught.value.code


def test_writing_takes_both_ends():
    """Put Range names its first and last byte."""
    assert ByteRange(0, 511) == target_range({"range": "bytes=0-511"})
    with pytest.raises(FileServiceError) as caught:
        target_range({"x-ms-range": "bytes=0-"})
    assert ErrorCode.INVALID_HEADER_VALUE is caught.value.code
    with pytest.raises(FileServiceError) as caught:
        target_range({})
    assert ErrorCode.MISSING_REQUIRED_HEADER is caught.value.code

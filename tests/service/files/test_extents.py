"""Data and holes of sparse files."""

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchai_recipes.service.files.byte_range import ByteRange
from batchai_recipes.service.files.extents import clear_extent, data_extents, write_all, zero_extent

SIZE = 1 << 18
parts = st.tuples(st.integers(0, SIZE - 1), st.integers(0, SIZE - 1)).map(
    lambda ends: ByteRange(min(ends), max(ends))
)
steps = st.lists(st.tuples(st.booleans(), parts), max_size=6)


@pytest.mark.parametrize("clear", [clear_extent, zero_extent])
@settings(max_examples=50)
@given(steps=steps, within=parts)
def test_a_file_reads_as_written_and_cleared(tmp_path_factory, clear, steps, within):
    """Clearing zeroes its range and nothing else; all that is not zero lies in an extent."""
    path = tmp_path_factory.mktemp("sparse") / "f"
    model = bytearray(SIZE)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
    try:
        os.ftruncate(descriptor, SIZE)
        for write, part in steps:
            if write:
                write_all(descriptor, b"x" * part.length, part.start)
                model[part.start : part.end + 1] = b"x" * part.length
            else:
                clear(descriptor, part)
                model[part.start : part.end + 1] = bytes(part.length)
        found = list(data_extents(descriptor, within))
    finally:
        os.close(descriptor)

    assert bytes(model) == path.read_bytes()
    assert all(within.start <= part.start <= part.end <= within.end for part in found)
    for part in found:
        model[part.start : part.end + 1] = bytes(part.length)
    assert not any(model[within.start : within.end + 1])


def test_clearing_gives_room_back(tmp_path):
    """A cleared file takes no more room than an empty one of its size."""
    path = tmp_path / "f"
    path.write_bytes(b"x" * SIZE)
    full = path.stat().st_blocks
    with path.open("r+b") as file:
        clear_extent(file.fileno(), ByteRange(0, SIZE - 1))

    assert path.stat().st_blocks < full
    assert bytes(SIZE) == path.read_bytes()


def test_zeros_do_not_fill_holes(tmp_path):
    """Where no holes can be made, those that are there are kept."""
    path = tmp_path / "f"
    with path.open("w+b") as file:
        file.truncate(1 << 40)
        zero_extent(file.fileno(), ByteRange(0, (1 << 40) - 1))

    assert path.stat().st_blocks == 0


def test_data_is_looked_for_only_where_asked(tmp_path):
    """Data before and after a part does not count."""
    path = tmp_path / "f"
    with path.open("w+b") as file:
        file.truncate(SIZE)
        write_all(file.fileno(), b"x", 0)
        write_all(file.fileno(), b"x", SIZE - 1)

        assert list(data_extents(file.fileno(), ByteRange(SIZE // 4, SIZE // 2))) == []
        assert [ByteRange(0, 0)] == list(data_extents(file.fileno(), ByteRange(0, 0)))

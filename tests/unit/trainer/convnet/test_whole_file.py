"""Tests of `batchai_recipes.trainer.convnet.whole_file`."""

import pytest

from batchai_recipes.trainer.convnet.whole_file import whole_file


def test_a_file_is_replaced_when_all_went_well(tmp_path):
    """Until then a reader finds what was there before."""
    file = tmp_path / "model"
    file.write_text("old")

    with whole_file(file) as temporary:
        temporary.write_text("new")
        assert file.read_text() == "old"

    assert file.read_text() == "new"
    assert [file] == list(tmp_path.iterdir())


def test_a_failure_leaves_what_was_there(tmp_path):
    """And nothing beside it."""
    file = tmp_path / "model"
    file.write_text("old")

    with pytest.raises(OSError, match="full"), whole_file(file) as temporary:
        temporary.write_text("ne")
        raise OSError("the disk is full")

    assert file.read_text() == "old"
    assert [file] == list(tmp_path.iterdir())

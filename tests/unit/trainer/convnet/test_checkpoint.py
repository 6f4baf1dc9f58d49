"""Tests of `batchai_recipes.trainer.convnet.checkpoint`."""

import pytest

from batchai_recipes.trainer.convnet.checkpoint import (
    read_checkpoints,
    remove_checkpoints,
    write_checkpoint,
)

SETTINGS = {"seed": 1}


def write(folder, epochs, state="weights"):
    """Write a checkpoint after some epochs."""
    records = [{"epoch": number} for number in range(1, epochs + 1)]
    write_checkpoint(folder, SETTINGS, records, lambda path: path.write_text(state))


def test_the_newest_comes_first(tmp_path):
    """With what it needs to go on; the older one is there in case that the newest is damaged."""
    for epochs in (8, 9, 10, 11):
        write(tmp_path / "c", epochs, f"weights {epochs}")

    newest, older = read_checkpoints(tmp_path / "c")

    assert (len(newest.records), newest.state.read_text()) == (11, "weights 11")
    assert (len(older.records), older.settings) == (10, SETTINGS)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"settings": {}}'])
def test_a_damaged_one_is_passed_over(tmp_path, text):
    """So that a training goes on from the one before."""
    write(tmp_path, 1)
    write(tmp_path, 2)
    (tmp_path / "epoch_0002" / "progress.json").write_text(text)

    assert [len(found.records) for found in read_checkpoints(tmp_path)] == [1]


def test_a_failure_leaves_those_before(tmp_path):
    """And nothing that could be taken for a checkpoint."""
    write(tmp_path, 1)

    def fail(path):
        path.write_text("half")
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        write_checkpoint(tmp_path, SETTINGS, [{}, {}], fail)

    assert [path.name for path in tmp_path.iterdir()] == ["epoch_0001"]


def test_one_that_is_there_is_replaced(tmp_path):
    """A training that went back to an older one writes it again."""
    write(tmp_path, 1, "old")
    write(tmp_path, 1, "new")

    assert [found.state.read_text() for found in read_checkpoints(tmp_path)] == ["new"]


def test_a_folder_that_does_not_exist_has_none(tmp_path):
    """As at the first start of a job."""
    assert read_checkpoints(tmp_path / "nowhere") == []
    remove_checkpoints(tmp_path / "nowhere")


def test_removing_leaves_what_is_no_checkpoint(tmp_path):
    """What a killed training left of one is removed too."""
    write(tmp_path, 1)
    (tmp_path / ".epoch_0002.abc.tmp").mkdir()
    (tmp_path / ".epoch_0002.abc.tmp" / "state").write_text("half")
    (tmp_path / "notes").write_text("mine")

    remove_checkpoints(tmp_path)

    assert [path.name for path in tmp_path.iterdir()] == ["notes"]

"""Folders out of the way at once and removed later."""

import pytest
from deep_folders import make_deep

from batchai_recipes.service.engines.engine import EngineError
from batchai_recipes.service.engines.folder_removal import FolderRemoval


@pytest.fixture
def removal(tmp_path):
    """A removal that runs."""
    made = FolderRemoval(tmp_path / "waiting")
    made.start()
    yield made
    made.stop()


def test_a_folder_is_out_of_its_place_at_once_and_gone_at_the_end(removal, tmp_path):
    """With everything in it; one that is missing is no matter."""
    folder = tmp_path / "job"
    for _ in range(2):
        (folder / "deep").mkdir(parents=True)
        removal.remove(folder)
        assert not folder.exists()
    removal.remove(folder)
    removal.stop()
    assert [*(tmp_path / "waiting").iterdir()] == []


def test_what_a_killed_service_left_is_removed(tmp_path):
    """When the next one starts."""
    (tmp_path / "waiting" / "left" / "deep").mkdir(parents=True)
    removal = FolderRemoval(tmp_path / "waiting")
    removal.start()
    removal.stop()
    assert [*(tmp_path / "waiting").iterdir()] == []


def test_without_a_thread_it_removes_at_once(tmp_path):
    """As before the engine has been started."""
    (tmp_path / "job").mkdir()
    FolderRemoval(tmp_path / "waiting").remove(tmp_path / "job")
    assert [*tmp_path.iterdir()] == []


def test_a_folder_that_cannot_be_moved_stays(removal, tmp_path):
    """And the error says which."""
    (tmp_path / "waiting").write_text("a file")
    (tmp_path / "job").mkdir()
    with pytest.raises(EngineError, match="waiting"):
        removal.remove(tmp_path / "job")
    assert (tmp_path / "job").exists()


def test_what_a_job_nested_too_deep_for_paths_is_removed_too(removal, tmp_path):
    """A job may go down as far as it likes, and leave folders that nobody may enter."""
    folder = tmp_path / "job"
    folder.mkdir()
    make_deep(folder, 1200)
    removal.remove(folder)
    removal.stop()
    assert [*(tmp_path / "waiting").iterdir()] == []


def test_one_folder_that_cannot_be_prepared_does_not_keep_the_others(tmp_path):
    """Its reason is in the log, and it goes with the next service."""

    def refuse(folder):
        if (folder / "odd").exists():
            raise ValueError("half written")

    removal = FolderRemoval(tmp_path / "waiting", before=refuse)
    removal.start()
    for name in ("odd", "even"):
        (tmp_path / name / name).mkdir(parents=True)
        removal.remove(tmp_path / name)
    removal.stop()
    (left,) = (tmp_path / "waiting").iterdir()
    assert [path.name for path in left.iterdir()] == ["odd"]

"""The folder of a copy: links lead nowhere, files appear whole."""

import os

import pytest

from batchai_recipes.volume_sync.copy_folder import CopyFolder, Stamp


@pytest.fixture
def root(tmp_path):
    """The folder that jobs see."""
    (tmp_path / "data").mkdir()
    (tmp_path / "parts").mkdir()
    return tmp_path / "data"


@pytest.fixture
def folder(root):
    """A copy's folder."""
    return CopyFolder(root, root.parent / "parts")


def test_a_file_appears_whole_with_its_time_and_mode(folder, root):
    """Not before the block has ended."""
    with folder.writing("a/b.txt", mode=0o640, directory_mode=0o750) as new:
        new.file.write(b"content")
        new.modified_ns = 1_500_000_000_000_000_000
        assert list(root.rglob("*")) == []
    status = (root / "a/b.txt").stat()
    assert new.stamp == Stamp.of(status) == folder.stamp("a/b.txt")
    assert (status.st_mode & 0o777, status.st_mtime) == (0o640, 1_500_000_000)


def test_a_file_that_fails_leaves_nothing(folder, root):
    """And what was there stays."""
    (root / "file").write_text("old")
    with pytest.raises(RuntimeError), folder.writing("file", mode=0o600, directory_mode=0o700) as n:
        n.file.write(b"half")
        raise RuntimeError
    assert (root / "file").read_text() == "old"
    assert list((root.parent / "parts").iterdir()) == []


@pytest.mark.parametrize("at", ["link", "link/below", "deep/link/below"])
def test_links_are_not_followed(folder, root, tmp_path, at):
    """Neither for reading, nor writing, nor removing."""
    outside = tmp_path / "outside"
    (outside / "below").mkdir(parents=True)
    (outside / "file").write_text("kept")
    place = root / at.partition("/below")[0]
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(outside)
    path = f"{at}/file"
    with pytest.raises(OSError), folder.writing(path, mode=0o600, directory_mode=0o700):  # noqa: PT011 - of kinds
        pass
    with pytest.raises(OSError), folder.reading(path):  # noqa: PT011 - of kinds
        pass
    with pytest.raises(OSError):  # noqa: PT011 - of kinds
        folder.make_directory(f"{at}/new", 0o700)
    folder.remove_file(path)
    folder.remove_directory(f"{at}/below")
    assert folder.stamp(path) is None
    assert sorted(p.name for p in outside.iterdir()) == ["below", "file"]
    assert folder.scan().files == {}


def test_names_that_are_not_utf_8_are_told(folder, root):
    """Whatever bytes a job makes names of."""
    (root / os.fsdecode(b"\xff\xfe")).write_text("x")
    scan = folder.scan()
    assert scan.files == {}
    assert list(scan.skipped.values()) == ["its name is not UTF-8"]

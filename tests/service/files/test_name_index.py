"""Names are found without regard to case, whatever jobs do in a directory meanwhile."""

import os
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchai_recipes.service.files import name_index
from batchai_recipes.service.files.inotify import Inotify
from batchai_recipes.service.files.name_index import NameIndex

NAMES = st.sampled_from(["a", "A", "ab", "aB", "AB", "\u00e9", "\u00c9", "b"])
STEPS = st.lists(st.tuples(st.sampled_from(["make", "remove", "move", "replace"]), NAMES, NAMES))


@contextmanager
def opened(folder):
    """Open a directory for a block."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def alike(folder, name):
    """Look through a folder."""
    return sorted(path.name for path in folder.iterdir() if path.name.upper() == name.upper())


def step(folder, kind, one, other):
    """Do what a job may do."""
    path = folder / one
    if kind == "make":
        path.write_text("")
    elif kind == "remove":
        path.unlink(missing_ok=True)
    elif path.exists():
        target = folder / other if kind == "replace" else folder.with_name("elsewhere")
        path.replace(target)


@given(steps=STEPS)
def test_the_index_knows_what_the_directory_has(steps):
    """After each thing that a job does, without a pause."""
    with tempfile.TemporaryDirectory() as base:
        folder = Path(base, "d")
        folder.mkdir()
        (folder / "first").write_text("")
        index = NameIndex(small=0)
        with opened(folder) as descriptor:
            for kind, one, other in steps:
                step(folder, kind, one, other)
                for name in ("a", "AB", "\u00e9", "b"):
                    assert alike(folder, name) == index.alike(descriptor, name)


@pytest.fixture
def looks(monkeypatch):
    """How often a directory was read."""
    seen = []
    real = os.listdir

    def listdir(directory):
        seen.append(directory)
        return real(directory)

    monkeypatch.setattr(name_index.os, "listdir", listdir)
    return seen


def test_many_new_files_read_their_directory_a_few_times(server, client, share, looks):
    """Making files in one directory takes no longer the more there are."""
    for number in range(200):
        headers = {"x-ms-type": "file", "x-ms-content-length": "0"}
        assert server.signed("PUT", f"/{share}/f{number}", headers).status == 201

    assert len(looks) < 70
    assert server.signed("PUT", f"/{share}/F7", headers).status == 201
    assert len(list(server.folder(share).iterdir())) == 200


def test_more_news_than_the_kernel_keeps(tmp_path):
    """The directory is read anew."""
    (tmp_path / "a").write_text("")
    index = NameIndex(small=0)
    with opened(tmp_path) as directory:
        assert index.alike(directory, "A") == ["a"]
        most = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
        for _ in range(most // 2 + 2):
            os.rename("a", "b", src_dir_fd=directory, dst_dir_fd=directory)
            os.rename("b", "a", src_dir_fd=directory, dst_dir_fd=directory)
        (tmp_path / "c").write_text("")

        assert [index.alike(directory, name) for name in "ABC"] == [["a"], [], ["c"]]


def test_a_directory_in_place_of_another(tmp_path):
    """The disk may give it the same inode."""
    index = NameIndex(small=0)
    for number in range(20):
        folder = tmp_path / "d"
        folder.mkdir()
        (folder / f"f{number}").write_text("")
        with opened(folder) as directory:
            found = [index.alike(directory, f"F{other}") for other in range(20)]
        assert found == [[f"f{number}"] if other == number else [] for other in range(20)]
        (folder / f"f{number}").unlink()
        folder.rmdir()


def test_only_so_many_directories_are_kept(tmp_path, looks):
    """Those used last; the others are read anew."""
    index = NameIndex(small=0, directories_kept=2)
    for name in "abc":
        (tmp_path / name).mkdir()
        (tmp_path / name / name).write_text("")

    def look(name):
        with opened(tmp_path / name) as directory:
            assert index.alike(directory, name.upper()) == [name]

    for name in "abcbcb":
        look(name)
    before = len(looks)
    for name in "bc":
        look(name)
    assert len(looks) == before
    look("a")
    assert len(looks) > before


def test_only_so_many_names_are_kept(tmp_path, looks):
    """The directory in use always is."""
    index = NameIndex(small=0, names_kept=3)
    for name in "ab":
        (tmp_path / name).mkdir()
        for number in range(4):
            (tmp_path / name / f"x{number}").write_text("")
        with opened(tmp_path / name) as directory:
            assert index.alike(directory, "X3") == ["x3"]
            before = len(looks)
            assert index.alike(directory, "X4") == []
            assert len(looks) == before


def test_without_watches_each_look_reads_the_directory(tmp_path, monkeypatch, caplog):
    """The user's limit is told once, and names are found all the same."""

    def refuse(self, directory):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Inotify, "watch", refuse)
    (tmp_path / "a").write_text("")
    index = NameIndex(small=0)
    with opened(tmp_path) as directory:
        assert [index.alike(directory, name) for name in "AB"] == [["a"], []]

    assert len([record for record in caplog.records if "fs.inotify" in record.getMessage()]) == 1


def test_what_is_no_directory_is_not_watched(tmp_path):
    """The kernel says so."""
    (tmp_path / "f").write_text("")
    descriptor = os.open(tmp_path / "f", os.O_RDONLY)
    try:
        with pytest.raises(NotADirectoryError):
            Inotify().watch(descriptor)
    finally:
        os.close(descriptor)

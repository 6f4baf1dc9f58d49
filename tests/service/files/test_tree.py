"""Walking a share on disk, and what the disk says, in Azure's words."""

import contextlib
import errno
import os
import threading

import pytest

from batchai_recipes.service.files.errors import FileServiceError
from batchai_recipes.service.files.name_index import NameIndex
from batchai_recipes.service.files.paths import SharePath
from batchai_recipes.service.files.tree import ShareTree, disk_refusal, open_regular


def test_a_walk_never_leaves_while_a_job_plants_links(tmp_path):
    """A job that swaps a directory for a link, over and over, gains no look outside."""
    root, outside = tmp_path / "share", tmp_path / "outside"
    for folder, text in ((root / "real", "inside"), (outside, "secret")):
        folder.mkdir(parents=True)
        (folder / "f").write_text(text)
    stop = threading.Event()

    def swap():
        while not stop.is_set():
            (root / "real").rename(root / "d")
            (root / "d").rename(root / "real")
            (root / "d").symlink_to(outside)
            (root / "d").unlink()

    job = threading.Thread(target=swap)
    job.start()
    outcomes = set()
    try:
        while len(outcomes) < 2 or not {"inside"} & outcomes:
            for _ in range(200):
                outcomes.add(read(ShareTree(root, NameIndex()), SharePath.parse("d/f")))
    finally:
        stop.set()
        job.join()

    assert {"inside", "ParentNotFound", "ResourceNotFound"} >= outcomes


def read(tree, path):
    """Return a file's content, or why there is none."""
    try:
        with tree.file(path, writable=False) as descriptor:
            return os.read(descriptor, 100).decode()
    except FileServiceError as error:
        return error.code.text
    except OSError as error:
        return disk_refusal(error).code.text


@pytest.mark.parametrize("flags", [os.O_RDONLY, os.O_RDWR, os.O_RDWR | os.O_CREAT])
@pytest.mark.parametrize("name", ["link", "dangling", "fifo"])
def test_only_regular_files_are_opened(tmp_path, name, flags):
    """A link or FIFO that takes a file's place at the last moment is not opened, nor followed."""
    (tmp_path / "target").write_text("secret")
    (tmp_path / "link").symlink_to("target")
    (tmp_path / "dangling").symlink_to("new")
    os.mkfifo(tmp_path / "fifo")
    parent = os.open(tmp_path, os.O_RDONLY)

    with pytest.raises(FileServiceError) as caught:
        open_regular(parent, name, SharePath((name,)), flags)

    os.close(parent)
    assert caught.value.code.text == "ResourceTypeMismatch"
    assert not (tmp_path / "new").exists()


def test_the_exact_name_counts_first(tmp_path):
    """Where a job made two names that differ in case, each is found under its own."""
    for name in ("a", "A", "B"):
        (tmp_path / name).write_text(name)
    tree = ShareTree(tmp_path, NameIndex())

    assert [read(tree, SharePath((name,))) for name in ("a", "A", "b")] == ["a", "A", "B"]


def test_no_descriptor_is_left_open(tmp_path):
    """Walks that succeed and walks that fail close all they opened."""
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "f").write_text("f")
    tree = ShareTree(tmp_path, NameIndex())
    before = sorted(os.listdir("/proc/self/fd"))  # noqa: PTH208 -- names only

    for text in ("a/b/f", "a/b", "a/x/f", "x", "a/b/f/x", "a/b/y"):
        read(tree, SharePath.parse(text))
        for path in (SharePath.parse(text), SharePath(())):
            with contextlib.suppress(FileServiceError), tree.directory(path):
                pass

    assert before == sorted(os.listdir("/proc/self/fd"))  # noqa: PTH208 -- names only


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (errno.ENAMETOOLONG, "InvalidResourceName"),
        (errno.ENOENT, "ResourceNotFound"),
        (errno.ENOTEMPTY, "DirectoryNotEmpty"),
        (errno.EACCES, "ReadOnlyAttribute"),
        (errno.EROFS, "ReadOnlyAttribute"),
        (errno.ENOSPC, "InsufficientDiskSpace"),
    ],
)
def test_refusals_by_the_disk(number, code):
    """A refusal is no bug: clients must not try again and again."""
    refusal = disk_refusal(OSError(number, "text"))

    assert code == refusal.code.text
    assert refusal.code.status < 500


def test_trouble_of_the_service_itself_is_none_of_the_clients():
    """Too many open files, for instance, is for the log."""
    assert disk_refusal(OSError(errno.EMFILE, "text")) is None
    assert disk_refusal(OSError()) is None

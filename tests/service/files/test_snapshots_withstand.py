"""Share snapshots: links, odd files, depth, writers, full disks and crashes in the midst of one."""

import os
import subprocess
import sys
import textwrap
import threading

import pytest

from batchai_recipes.service.files import snapshots
from batchai_recipes.service.files.share_folders import SNAPSHOT_PREFIX
from batchai_recipes.service.files.whole_trees import copy_tree

from .snapshot_requests import FILE, at, names_in, restart, snapshot


def test_holes_links_and_odd_files(server, client, share, tmp_path):
    """A snapshot takes no more room than its share, and no look outside."""
    folder, outside = server.folder(share), tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret")
    client.create_file(share, None, "sparse", 1 << 30)
    (folder / "link").symlink_to(outside)
    (folder / "file-link").symlink_to(outside / "secret")
    os.mkfifo(folder / "fifo")
    (folder / os.fsdecode(b"\xff")).write_text("no UTF-8")

    stamp = snapshot(server)

    copy = server.state.share_snapshot("batchtest", share, stamp)
    assert names_in(copy) == ["sparse", os.fsdecode(b"\xff")]
    assert (copy / "sparse").stat().st_size == 1 << 30
    assert (copy / "sparse").stat().st_blocks * 512 < 1 << 20


def test_a_directory_that_is_swapped_for_a_link_meanwhile(tmp_path):
    """The copy holds what was in the share, never what is outside."""
    share, outside = tmp_path / "share", tmp_path / "outside"
    (share / "real").mkdir(parents=True)
    outside.mkdir()
    (share / "real" / "f").write_text("inside")
    (outside / "f").write_text("secret")
    stop = threading.Event()

    def swap():
        while not stop.is_set():
            (share / "real").rename(share / "d")
            (share / "d").rename(share / "real")
            (share / "d").symlink_to(outside)
            (share / "d").unlink()

    job = threading.Thread(target=swap)
    job.start()
    try:
        for number in range(150):
            copy_tree(share, tmp_path / f"copy{number}", lambda *_: None)
    finally:
        stop.set()
        job.join()

    texts = {path.read_text() for path in tmp_path.glob("copy*/*/f")}
    assert texts == {"inside"}


@pytest.fixture
def deep_share(server, share):
    """A share whose folder goes whatever happens: pytest's own clean-up fails at such depth."""
    yield share
    subprocess.run(["rm", "-rf", server.folder(share).parent], check=True)


def test_a_deep_directory(server, deep_share):
    """Deeper than Python calls, and than one path can name."""
    share = deep_share
    depth = 1500
    descriptor = os.open(server.folder(share), os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("d", dir_fd=descriptor)
        os.close(os.open("f", os.O_CREAT | os.O_WRONLY, dir_fd=descriptor))
        below = os.open("d", os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = below
    os.close(descriptor)

    stamp = snapshot(server)

    assert server.signed("GET", f"/{share}?restype=share&comp=stats").status == 200
    assert server.signed("GET", at(f"/{share}/d/d?restype=directory", stamp)).status == 200
    assert server.signed("DELETE", at(f"/{share}?restype=share", stamp)).status == 202
    assert server.signed("DELETE", f"/{share}?restype=share").status == 202
    left = [entry.name for entry in server.folder(share).parent.iterdir()]
    assert left in ([], [".snapshots"])


def test_writers_wait_for_a_snapshot_and_readers_do_not(server, data, monkeypatch):
    """And two snapshots are not made at a time."""
    copying, go_on = threading.Event(), threading.Event()

    def slow(*arguments):
        copying.set()
        assert go_on.wait(30)
        copy_tree(*arguments)

    monkeypatch.setattr(snapshots, "copy_tree", slow)
    replies = {}

    def send(name, *request):
        replies[name] = server.signed(*request)

    threads = [
        threading.Thread(
            target=send, args=("snapshot", "PUT", "/data?restype=share&comp=snapshot")
        ),
        threading.Thread(target=send, args=("write", "PUT", "/data/d/f.txt", FILE, b"late")),
    ]
    threads[0].start()
    assert copying.wait(30)
    threads[1].start()
    assert server.signed("GET", "/data/d/f.txt").body == b"0123456789"
    second = server.signed("PUT", "/data?restype=share&comp=snapshot")
    assert (second.status, second.code) == (409, "ShareSnapshotInProgress")
    assert "write" not in replies
    go_on.set()
    for thread in threads:
        thread.join()

    assert (replies["snapshot"].status, replies["write"].status) == (201, 201)
    stamp = replies["snapshot"].headers["x-ms-snapshot"]
    assert server.signed("GET", at("/data/d/f.txt", stamp)).body == b"0123456789"
    assert server.signed("GET", "/data/d/f.txt").body == b"late".ljust(10, b"\0")


def test_a_disk_that_is_full_leaves_no_part_of_a_snapshot(server, data, monkeypatch):
    """Nothing is listed, nothing stays on disk, and the share is as it was."""

    def full(source, target, seen):
        copy_tree(source, target, seen)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(snapshots, "copy_tree", full)

    reply = server.signed("PUT", "/data?restype=share&comp=snapshot")

    assert (reply.status, reply.code) == (409, "InsufficientDiskSpace")
    assert names_in(server.folder("data").parent) == ["data"]
    assert b"<Snapshot>" not in server.signed("GET", "?comp=list&include=snapshots").body


CRASH = """
    import os, signal, sys
    from pathlib import Path
    from batchai_recipes.service.clock import SystemClock
    from batchai_recipes.service.files.copy_sources import CopySources
    from batchai_recipes.service.files.nouns import Nouns
    from batchai_recipes.service.state_directory import StateDirectory
    from batchai_recipes.service.store import Store

    state = StateDirectory(Path(sys.argv[1]))
    nouns = Nouns.of(state, Store(state.database), SystemClock(), CopySources(None))

    def die(frame, event, argument):
        if frame.f_code.co_name == sys.argv[2] and event == sys.argv[3]:
            os.kill(os.getpid(), signal.SIGKILL)
        return die

    sys.settrace(die)
    nouns.snapshots.create("batchtest", "data", {})
"""


@pytest.mark.parametrize(
    ("function", "event", "made"),
    [
        ("copy_tree", "call", 0),
        ("_copy_file", "return", 0),
        ("copy_tree", "return", 0),
        ("rename", "return", 0),
        ("_record", "call", 0),
        ("_record", "return", 1),
    ],
)
def test_a_kill_in_the_midst_of_a_snapshot(server, data, function, event, made):
    """Nothing half made is ever seen; the next start removes what was left."""
    subprocess.run(
        [sys.executable, "-c", textwrap.dedent(CRASH), str(server.state.root), function, event],
        check=False,
    )

    listing = server.signed("GET", "?comp=list&include=snapshots").body
    assert listing.count(b"<Snapshot>") == made
    restart(server)
    assert len(list(server.state.shares.glob("*/.snapshots/*/*"))) == made
    assert list(server.state.shares.glob(f"*/{SNAPSHOT_PREFIX}*")) == []
    assert server.signed("GET", "/data/d/f.txt").body == b"0123456789"

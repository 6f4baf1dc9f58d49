"""Renames: what is recorded of a file goes where the file goes, crashes or not."""

import subprocess
import sys
import textwrap

import pytest

from batchai_recipes.service.files.app import files_app

CRASH = """
    import os, signal, sys
    from pathlib import Path
    from batchai_recipes.service.clock import SystemClock
    from batchai_recipes.service.files import entries
    from batchai_recipes.service.files.copy_sources import CopySources
    from batchai_recipes.service.files.guard import FREE
    from batchai_recipes.service.files.nouns import Nouns
    from batchai_recipes.service.files.paths import Location, SharePath
    from batchai_recipes.service.state_directory import StateDirectory
    from batchai_recipes.service.store import Store

    state = StateDirectory(Path(sys.argv[1]))
    moment = sys.argv[2]
    nouns = Nouns.of(state, Store(state.database), SystemClock(), CopySources(None))
    rename, move = os.rename, entries.Entries.move

    def die():
        os.kill(os.getpid(), signal.SIGKILL)

    def dying_rename(*arguments, **options):
        if moment == "before":
            die()
        rename(*arguments, **options)
        if moment == "after":
            die()

    os.rename = dying_rename
    old, new = (Location("batchtest", "data", SharePath.parse(path)) for path in sys.argv[3:5])
    kind = sys.argv[5]
    nouns.renaming.rename(old, new, kind, FREE, replaces=True)
    die()
"""
FILE = {"x-ms-type": "file", "x-ms-content-length": "3"}


@pytest.fixture
def tree(server, client, share):
    """Two files and a directory with one, each with metadata of its own."""
    client.create_directory(share, "d", metadata={"of": "d"})
    for path in ("a", "b", "d/f", "d0"):
        headers = {**FILE, "x-ms-meta-of": path}
        assert server.signed("PUT", f"/{share}/{path}", headers, b"abc").status == 201
    return share


def metadata(server, path):
    """Return what the metadata of a file say it is, or its status."""
    reply = server.signed("HEAD", f"/data/{path}")
    return reply.headers.get("x-ms-meta-of") if reply.status == 200 else reply.status


@pytest.mark.parametrize("moment", ["before", "after", "end"])
def test_a_kill_in_the_midst_of_a_rename(server, stage, tree, moment):
    """The file is at the one place or at the other, and what is recorded of it there too."""
    for old, new, kind in (("a", "B", "file"), ("d", "e", "directory")):
        subprocess.run(
            [sys.executable, "-c", textwrap.dedent(CRASH), str(server.state.root), moment,
             old, new, kind],
            check=False,
        )  # fmt: skip
    stage.service = files_app(
        state=server.state, store=server.store, clock=server.clock, tokens=server.tokens
    )

    if moment == "before":
        expected = {"a": "a", "b": "b", "d/f": "d/f", "d0": "d0", "e/f": 404}
    else:
        expected = {"a": 404, "b": "a", "d/f": 404, "d0": "d0", "e/f": "d/f"}
    assert {path: metadata(server, path) for path in expected} == expected
    directory = "d" if moment == "before" else "e"
    reply = server.signed("GET", f"/data/{directory}?restype=directory")
    assert reply.headers["x-ms-meta-of"] == "d"
    with server.store.read() as records:
        assert records.execute("SELECT * FROM file_renames").fetchall() == []
    assert sorted(item.name for item in server.folder(tree).iterdir()) == (
        ["a", "b", "d", "d0"] if moment == "before" else ["b", "d0", "e"]
    )


def test_a_rename_that_the_disk_refuses(server, tree, monkeypatch):
    """Everything stays, the records too."""

    def refuse(*_arguments, **_options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.rename", refuse)
    source = {"x-ms-file-rename-source": f"{server.base}/batchtest/data/a"}
    reply = server.signed("PUT", "/data/new?comp=rename", source)
    monkeypatch.undo()

    assert reply.code == "InsufficientDiskSpace"
    assert (metadata(server, "a"), metadata(server, "new")) == ("a", 404)
    with server.store.read() as records:
        assert records.execute("SELECT * FROM file_renames").fetchall() == []

"""Staging to the embedded service's shares."""

import os
import sys
import time
from contextlib import ExitStack
from subprocess import PIPE, Popen

import pytest

from batchai_recipes import ClusterBuilder, FileShareStaging, TrainingSession
from batchai_recipes.session.reaping import reap
from batchai_recipes.staging.upload import create_share, upload

ACCOUNT_SHARES = "shares"


@pytest.fixture
def share(connection, state_dir):
    """A share's folder on disk: what a job would see."""
    create_share(connection, "data")
    return next((state_dir / ACCOUNT_SHARES).glob("*/data"))


def test_what_was_staged_is_there_and_a_second_staging_sends_nothing(connection, share, tmp_path):
    """Names of every script, empty files and files of several parts included."""
    contents = {
        "größe 数据 +&'%41#.txt": b"unicode",
        "empty": b"",
        "zeros": bytes(5 << 20),
        "parts": os.urandom((9 << 20) + 3),
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    staging = FileShareStaging("data").directory("x/y").upload(*(tmp_path / n for n in contents))

    first = upload(connection, staging, str)
    second = upload(connection, staging, str)

    assert {n: (share / "x" / "y" / n).read_bytes() for n in contents} == contents
    assert set(first.sent) == {f"x/y/{name}" for name in contents}
    assert (second.sent, second.files) == ((), first.files)


def test_a_file_that_a_job_changed_is_sent_again(connection, share, tmp_path):
    """Also when its size and its time stayed the same."""
    (tmp_path / "a").write_bytes(b"mine")
    staging = FileShareStaging("data").upload(tmp_path / "a")
    upload(connection, staging, str)
    status = (share / "a").stat()
    (share / "a").write_bytes(b"jobs")
    os.utime(share / "a", ns=(status.st_atime_ns, status.st_mtime_ns))

    assert upload(connection, staging, str).sent == ("a",)
    assert (share / "a").read_bytes() == b"mine"


def test_a_file_that_a_job_deleted_is_sent_again(connection, share, tmp_path):
    """And its directory made again."""
    (tmp_path / "a").write_bytes(b"mine")
    staging = FileShareStaging("data").directory("d").upload(tmp_path / "a")
    upload(connection, staging, str)
    (share / "d" / "a").unlink()
    (share / "d").rmdir()

    assert upload(connection, staging, str).sent == ("d/a",)


def test_two_stagings_share_a_share(connection, share, tmp_path):
    """One does not forget what the other sent."""
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(name.encode())
    stagings = [FileShareStaging("data").upload(tmp_path / name) for name in ("a", "b")]
    sent = [upload(connection, staging, str).sent for staging in [*stagings, *stagings]]

    assert sent == [("a",), ("b",), (), ()]


def test_a_session_tells_what_it_staged(connection, recipe):
    """With its hash."""
    work = recipe("print()")
    with TrainingSession(work.cluster, staging=work.staging, connection=connection) as session:
        staged = session.staged

    assert [file.path for file in staged.files] == ["code/train.py"]


def test_a_tree_arrives_with_its_empty_folders(connection, share, tmp_path):
    """And a second staging sends nothing."""
    root = tmp_path / "tree"
    for folder in ("empty/deep", "größe", "__pycache__"):
        (root / folder).mkdir(parents=True)
    (root / "größe" / "数据").write_bytes(b"1")
    (root / "__pycache__" / "a.pyc").write_bytes(b"2")
    staging = FileShareStaging("data").directory("t").upload_tree(root, ignore=["__pycache__/"])
    upload(connection, staging, str)

    assert sorted(str(path.relative_to(share / "t")) for path in (share / "t").rglob("*")) == [
        "empty",
        "empty/deep",
        "größe",
        "größe/数据",
    ]
    assert upload(connection, staging, str).sent == ()


STAGER = """
import sys
from batchai_recipes import *
from batchai_recipes.staging.upload import upload

with Connection.default() as connection:
    print("ready", flush=True)
    sys.stdin.readline()
    for number in range(int(sys.argv[2])):
        file = f"{sys.argv[1]}{number % 2}/big"
        upload(connection, FileShareStaging("data").upload(file), str)
"""
SESSION = """
from pathlib import Path
from batchai_recipes import *
from batchai_recipes.staging.local_file import LocalFile

read = LocalFile.read

def read_and_tell(file, size):
    print("sending", flush=True)
    return read(file, size)

LocalFile.read = read_and_tell
staging = FileShareStaging("data").upload("big")
with TrainingSession(ClusterBuilder("c").vm_size("STANDARD_D1"), staging=staging):
    pass
"""


def drafts(share):
    """What there is of drafts on a share."""
    return sorted(path.name for path in share.glob(".batchai-recipes-draft-*"))


@pytest.mark.slow
def test_a_large_file_is_whole_whenever_it_is_read(connection, share, environment, tmp_path):
    """While two processes stage others under its name, to a share that neither made."""
    contents = [b"%d" % number * (9 << 20) for number in range(4)]
    for number, content in enumerate(contents):
        folder = tmp_path / f"files{number // 2}{number % 2}"
        folder.mkdir()
        (folder / "big").write_bytes(content)
    (share / "big").write_bytes(contents[0])
    with ExitStack() as ending:
        stagers = [
            ending.enter_context(
                Popen(
                    [sys.executable, "-c", STAGER, f"files{number}", "4"],
                    env=environment,
                    cwd=tmp_path,
                    stdin=PIPE,
                    stdout=PIPE,
                    text=True,
                )
            )
            for number in (0, 1)
        ]
        for stager in stagers:
            assert stager.stdout.readline() == "ready\n"
        for stager in stagers:
            stager.stdin.write("go\n")
            stager.stdin.flush()
        seen = set()
        while any(stager.poll() is None for stager in stagers):
            content = (share / "big").read_bytes()
            assert content in contents
            seen.add(content[:1])
        assert [stager.returncode for stager in stagers] == [0, 0]

    assert len(seen) > 1
    assert drafts(share) == []


def test_what_a_killed_session_had_sent_half_goes_with_the_next(
    connection, share, environment, tmp_path
):
    """The file is as it was before, and then as it is to be."""
    (tmp_path / "big").write_bytes(os.urandom(64 << 20))
    (share / "big").write_bytes(b"before")
    with Popen(
        [sys.executable, "-c", SESSION], env=environment, cwd=tmp_path, stdout=PIPE, text=True
    ) as session:
        for _ in range(6):
            assert session.stdout.readline() == "sending\n"
        session.kill()
    assert (share / "big").read_bytes() == b"before"
    assert len(drafts(share)) == 1
    cluster = ClusterBuilder("c").vm_size("STANDARD_D1").nodes(0)
    staging = FileShareStaging("data").upload(tmp_path / "big")

    with TrainingSession(cluster, staging=staging, connection=connection):
        assert drafts(share) == []
        assert (share / "big").read_bytes() == (tmp_path / "big").read_bytes()
    assert reap(connection.journals, report=str) == 1


WRITER = """
import os, pathlib
out = pathlib.Path(os.environ["AZ_BATCHAI_OUTPUT_MODEL"])
(out / "empty" / "deep").mkdir(parents=True)
(out / "größe").mkdir()
(out / "größe" / "数据 +&%41#.txt").write_bytes(b"unicode")
(out / "nothing").write_bytes(b"")
(out / "large").write_bytes(bytes(range(256)) * (20 << 12) + b"end")
old = 1_500_000_000
for path in out.rglob("*"):
    os.utime(path, (old, old))
"""


def test_outputs_arrive_whole_and_a_second_download_fetches_nothing(connection, recipe, tmp_path):
    """What a job wrote, empty folders and files and files of several parts included."""
    work = recipe(WRITER)
    here = tmp_path / "models"
    with TrainingSession(work.cluster, staging=work.staging, connection=connection) as session:
        run = session.submit(work.job)
        run.wait()
        output = run.outputs("MODEL")
        first = output.download(here)
        wanted = {path: path.read_bytes() for path in first}
        assert known_again(output, here)

    assert {path.name: len(content) for path, content in wanted.items()} == {
        "large": (20 << 20) + 3,
        "nothing": 0,
        "数据 +&%41#.txt": 7,
    }
    assert wanted[here / "large"] == bytes(range(256)) * (20 << 12) + b"end"
    assert (here / "empty" / "deep").is_dir()


def known_again(output, here):
    """Download until no file comes anew: those written just now are not left alone at once."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        before = {path: path.stat().st_ino for path in here.rglob("*")}
        if all(before[path] == path.stat().st_ino for path in output.download(here)):
            return True
    return False

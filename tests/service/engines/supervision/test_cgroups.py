"""Control groups, as far as they can be had without any."""

import os
import signal
import subprocess
from pathlib import Path

import pytest

from batchai_recipes.service.engines.supervision.cgroups import Cgroup, own_directory


@pytest.fixture
def folder(tmp_path):
    """A folder that looks like a group which controls memory."""
    group = tmp_path / "group"
    group.mkdir()
    for name in ("cgroup.kill", "cgroup.procs", "memory.max", "memory.oom.group"):
        (group / name).touch()
    (group / "memory.events").write_text("low 0\nhigh 0\nmax 7\noom 1\noom_kill 3\n")
    (group / "cgroup.events").write_text("populated 0\nfrozen 0\n")
    return group


@pytest.mark.parametrize(
    ("cgroup", "mount", "expected"),
    [
        ("0::/user.slice", "41 31 0:38 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw", "user.slice"),
        ("0::/", "41 31 0:38 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw", ""),
        ("0::/a/b", "41 31 0:38 /a /sys/fs/cgroup rw - cgroup2 cgroup2 rw", "b"),
    ],
)
def test_the_group_of_a_process_is_found(tmp_path, cgroup, mount, expected):
    """Below the mount of the hierarchy of version 2, also where only a part of it is mounted."""
    (tmp_path / "cgroup").write_text(f"4:memory:/other\n{cgroup}\n")
    (tmp_path / "mountinfo").write_text(f"30 1 0:2 / /proc rw - proc proc rw\n{mount}\n")
    assert own_directory(str(tmp_path)) == f"/sys/fs/cgroup/{expected}".rstrip("/")


def test_without_the_hierarchy_there_is_no_group(tmp_path):
    """Nor without anything to ask."""
    assert own_directory(str(tmp_path)) is None
    (tmp_path / "cgroup").write_text("0::/\n")
    (tmp_path / "mountinfo").write_text("30 1 0:2 / /proc rw - proc proc rw\n")
    assert own_directory(str(tmp_path)) is None


def test_a_limit_and_the_kernels_kills(folder):
    """In the words of the kernel's files."""
    group = Cgroup(str(folder))
    assert group.limit_memory(1 << 20)
    assert (folder / "memory.max").read_text() == "1048576"
    assert (folder / "memory.oom.group").read_text() == "1"
    assert group.memory_kills() == 3


def test_a_group_without_memory_control_has_no_limit(folder):
    """And no kills."""
    (folder / "memory.max").unlink()
    (folder / "memory.events").unlink()
    assert not Cgroup(str(folder)).limit_memory(1 << 20)
    assert Cgroup(str(folder)).memory_kills() == 0


def test_an_empty_group_is_removed_without_a_kill(tmp_path):
    """With those that a task made in it; ending it twice is ending it once."""
    group = Cgroup(str(tmp_path / "group"))
    (tmp_path / "group" / "inner").mkdir(parents=True)
    group.end()
    group.end()
    assert not (tmp_path / "group").exists()


def test_where_groups_cannot_be_made_there_is_none(tmp_path):
    """A folder that is no group is no group; nor is one that cannot be made."""
    assert Cgroup.make(str(tmp_path / "plain")) is None
    assert not (tmp_path / "plain").exists()
    assert Cgroup.make(str(tmp_path / "no" / "where")) is None


@pytest.fixture
def group():
    """A real group, where this machine and user can have one."""
    own = own_directory()
    made = Cgroup.make(f"{own}/batchai-recipes-test-{os.getpid()}") if own else None
    if made is None:
        pytest.skip("no control groups of version 2 that this user may make")
    yield made
    made.end()


def test_all_that_runs_in_a_group_ends_with_it(group):
    """The kernel tells when that is so, and the group is gone then."""
    family = subprocess.Popen(
        f"echo $$ > {group.path}/cgroup.procs && (sleep 600 & setsid sleep 600 & echo up; wait)",
        shell=True,
        stdout=subprocess.PIPE,
    )
    with family:
        assert family.stdout.readline() == b"up\n"
        group.end()
        assert not Path(group.path).exists()
    assert family.returncode == -signal.SIGKILL


def test_a_group_that_does_not_get_empty_is_waited_for_within_limits(folder, monkeypatch):
    """Its end is asked for again whenever it has changed, and it stays."""
    (folder / "cgroup.events").write_text("populated 1\nfrozen 0\n")
    seconds = iter([0.0, 0.5, 1.0, 2.5])
    waited = []

    class Changes:
        def register(self, *_):
            pass

        def poll(self, milliseconds):
            waited.append(milliseconds)

    module = "batchai_recipes.service.engines.supervision.cgroups"
    monkeypatch.setattr(f"{module}.time.monotonic", lambda: next(seconds))
    monkeypatch.setattr(f"{module}.select.poll", Changes)
    Cgroup(str(folder)).end()
    assert waited == [1500, 1000]
    assert (folder / "cgroup.kill").read_text() == "1"
    assert folder.exists()

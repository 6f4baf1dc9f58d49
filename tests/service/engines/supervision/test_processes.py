"""What the kernel tells of processes."""

import os
import subprocess

from batchai_recipes.service.engines.supervision import processes


def test_a_process_is_told_from_a_later_one_with_its_id():
    """By when it began, and in which boot."""
    identity = processes.process_identity(os.getpid())
    assert identity == processes.process_identity(os.getpid())
    assert os.getpid() == identity["pid"]
    assert identity["start_time"] > 0
    assert identity["boot_id"] == processes.boot_id()


def test_a_process_that_is_gone_has_no_fields():
    """No process has this id."""
    assert processes.stat_fields(2**30) is None


def test_children_and_descendants_are_found(monkeypatch):
    """Also where the kernel does not list children."""
    with subprocess.Popen(["sh", "-c", "sleep 1000 & read x"], stdin=subprocess.PIPE) as child:
        assert child.pid in processes.children_of(os.getpid())
        assert child.pid in processes.descendants(os.getpid())
        monkeypatch.setattr(processes, "read_file", _without_children(processes.read_file))
        assert child.pid in processes.children_of(os.getpid())
        processes.kill_all(processes.descendants(child.pid))
        child.communicate(b"")


def _without_children(read_file):
    def read(path):
        if path.endswith("/children"):
            raise FileNotFoundError(path)
        return read_file(path)

    return read

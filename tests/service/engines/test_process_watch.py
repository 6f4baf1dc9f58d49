"""Noticing the end of processes, told by the kernel or by looking."""

import os
import subprocess
import sys
import threading

import pytest

from batchai_recipes.service.engines.process_watch import ProcessWatch

PATIENCE_SECONDS = 30.0


@pytest.fixture(params=["pidfd", "polling"])
def watch(request, monkeypatch):
    """A watch and the event it sets, with pidfds and as on systems without."""
    if request.param == "polling":
        monkeypatch.delattr(os, "pidfd_open", raising=False)
    ended = threading.Event()
    made = ProcessWatch(ended.set)
    yield made, ended
    made.close()


def process():
    """Start a process that ends when it gets a line."""
    return subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)


def test_it_tells_when_a_process_ends(watch):
    """Not before, and for one that is watched twice only once."""
    made, ended = watch
    with process() as child:
        for _ in range(2):
            made.add("child", child.pid, lambda: child.poll() is None)
        assert not ended.is_set()
        child.communicate(b"\n")
        assert ended.wait(PATIENCE_SECONDS)
        assert made._watched == {}


def test_it_tells_of_a_process_that_had_ended(watch):
    """At once."""
    made, ended = watch
    with process() as child:
        child.communicate(b"\n")
        made.add("child", child.pid, lambda: False)
        assert ended.wait(PATIENCE_SECONDS)


def test_closing_forgets_what_still_runs(watch):
    """And watches nothing more."""
    made, ended = watch
    with process() as child:
        made.add("child", child.pid, lambda: child.poll() is None)
        made.close()
        made.add("self", os.getpid(), lambda: True)
        child.communicate(b"\n")
    assert not ended.is_set()


def test_two_processes_may_have_had_the_same_id(watch):
    """The name tells them apart, and each is told of by itself."""
    made, _ = watch
    told = []
    with process() as child:
        for name in ("earlier", "later"):
            made.add(name, child.pid, lambda: child.poll() is None, lambda n=name: told.append(n))
        child.communicate(b"\n")
        made.add("later still", child.pid, lambda: False, lambda: told.append("later still"))
    made.close()
    assert "later still" in told

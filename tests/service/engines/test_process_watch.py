"""Noticing the end of processes, told by the kernel or by looking."""

import os
import queue
import socket
import subprocess
import sys
import threading

import pytest

from batchai_recipes.service.engines.process_watch import ProcessWatch

PATIENCE_SECONDS = 30.0


@pytest.fixture(params=["pidfd", "polling"])
def watch(request, monkeypatch):
    """A watch, with pidfds and as on systems without."""
    if request.param == "polling":
        monkeypatch.delattr(os, "pidfd_open", raising=False)
    made = ProcessWatch()
    yield made
    made.close()


@pytest.fixture
def ended():
    """The event that a watch sets."""
    return threading.Event()


def process():
    """Start a process that ends when it gets a line."""
    return subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)


def test_it_tells_when_a_process_ends(watch, ended):
    """Not before, and for one that is watched twice only once."""
    with process() as child:
        for told in (ended.set, pytest.fail):
            watch.add_process("child", child.pid, lambda: child.poll() is None, told)
        assert not ended.is_set()
        child.communicate(b"\n")
        assert ended.wait(PATIENCE_SECONDS)
        assert watch._watched == {}


def test_it_tells_of_a_process_that_had_ended(watch, ended):
    """At once."""
    with process() as child:
        child.communicate(b"\n")
        watch.add_process("child", child.pid, lambda: False, ended.set)
        assert ended.is_set()


def test_names_tell_apart_what_has_the_same_id(watch, ended):
    """A process id may be given again before the end of the first was seen."""
    with process() as child:
        for name in ("earlier", "later"):
            watch.add_process(name, child.pid, lambda: child.poll() is None, lambda: None)
        watch.add_process("later still", child.pid, lambda: False, ended.set)
        assert ended.is_set()
        child.communicate(b"\n")


def test_closing_forgets_what_still_runs(watch, ended):
    """And watches nothing more."""
    with process() as child:
        watch.add_process("child", child.pid, lambda: child.poll() is None, ended.set)
        watch.close()
        watch.add_process("self", os.getpid(), lambda: True, ended.set)
        child.communicate(b"\n")
    assert not ended.is_set()


def test_it_hears_what_a_process_says_until_it_ends(watch):
    """The end of the socket is the end of the process."""
    here, there = socket.socketpair()
    heard = queue.SimpleQueue()
    watch.add_connection("child", here, heard.put)
    with there:
        there.sendall(b"hello")
        assert heard.get(timeout=PATIENCE_SECONDS) == b"hello"
    assert heard.get(timeout=PATIENCE_SECONDS) == b""
    assert watch._watched == {}


def test_after_closing_it_hears_nothing(watch):
    """And no socket stays open."""
    here, there = socket.socketpair()
    watch.close()
    watch.add_connection("child", here, pytest.fail)
    with there:
        assert there.recv(1) == b""

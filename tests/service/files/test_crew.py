"""The threads that serve connections, and which of them leads."""

import errno
import os
import socket
import threading
import time
from contextlib import closing

import pytest

from batchai_recipes.service.files.crew import Crew


class Echo:
    """A connection over which each byte that comes is answered, as told by the byte before it."""

    def __init__(self):
        self.client, self._socket = socket.socketpair()
        self.client.settimeout(30)
        self.idle_since = time.monotonic()
        self.held = threading.Event()
        self._over = threading.Event()
        self.served_by = []

    def fileno(self):
        """Return the descriptor."""
        return self._socket.fileno()

    def serve(self, step_aside):
        """Answer one byte: `a` after stepping aside, `h` once released, `e` as the last one."""
        self.served_by.append(threading.get_ident())
        byte = self._socket.recv(1)
        if byte == b"a":
            step_aside()
            step_aside()  # which changes nothing more
        if byte in {b"a", b"h"}:
            assert self.held.wait(30)
        self.idle_since = time.monotonic()
        if byte:
            self._socket.send(byte)
        return byte not in {b"e", b""}

    def ask(self, byte):
        """Send a byte and wait for its answer."""
        self.client.sendall(byte)
        return self.client.recv(1)

    def close(self):
        """Go, as a client does, and wait until the crew knows."""
        self.client.close()
        assert self._over.wait(30)

    def end(self):
        """Close the crew's end."""
        self._socket.close()
        self._over.set()


class Ended:
    """Notes the connections that ended."""

    def __init__(self):
        self.connections = []
        self.one = threading.Event()

    def __call__(self, connection):
        """Note one, and close it."""
        connection.end()
        self.connections.append(connection)
        self.one.set()


@pytest.fixture
def ended():
    """What ended."""
    return Ended()


@pytest.fixture
def crew(ended):
    """A crew at work."""
    crew = Crew(ended, idle_seconds=60)
    crew.start()
    yield crew
    crew.stop()


def test_one_thread_answers_what_is_short(crew):
    """However many connections there are."""
    with closing(Echo()) as first, closing(Echo()) as second:
        crew.watch(first)
        crew.watch(second)
        for _ in range(50):
            assert first.ask(b"x") == b"x"
            assert second.ask(b"x") == b"x"
        threads = [*first.served_by, *second.served_by]
        # The overseer may have put another one in the place of one that a busy machine held up.
        assert max(threads.count(one) for one in set(threads)) > len(threads) / 2


@pytest.mark.parametrize("held", [b"a", b"h"], ids=["steps aside", "is held up"])
def test_nobody_waits_for_what_lasts(crew, held):
    """Whether the leader says so or is found out; it serves again afterwards."""
    with closing(Echo()) as lasting, closing(Echo()) as another, closing(Echo()) as short:
        for connection in (lasting, another, short):
            crew.watch(connection)
        lasting.client.sendall(held)
        another.client.sendall(held)
        assert short.ask(b"x") == b"x"
        for connection in (lasting, another):
            connection.held.set()
            assert connection.client.recv(1) == held
            assert connection.ask(b"x") == b"x"


@pytest.mark.parametrize("last", [b"e", b"a"], ids=["leading", "aside"])
def test_what_ends_is_told_of_once(crew, ended, last):
    """Whether or not its thread still leads."""
    with closing(Echo()) as connection:
        connection.held.set()
        crew.watch(connection)
        assert connection.ask(last) == last
        if last == b"a":
            assert connection.ask(b"e") == b"e"
        assert ended.one.wait(30)
        assert ended.connections == [connection]


def test_who_asks_for_nothing_is_ended(ended):
    """Also where there was no connection yet when the wait for requests began."""
    crew = Crew(ended, idle_seconds=0.05)
    crew.start()
    with closing(Echo()) as connection:
        crew.watch(connection)
        assert ended.one.wait(30)
        assert ended.connections == [connection]
        assert connection.served_by == []
    crew.stop()


class Looks:
    """The overseer's looks at the leader, one whenever a test says so."""

    def __init__(self):
        self._begun, self._next = threading.Semaphore(0), threading.Semaphore(0)
        self._over = False

    def __call__(self, _seconds):
        """Pause, as the overseer does after each look."""
        self._begun.release()
        if not self._over:
            assert self._next.acquire(timeout=30)

    def wait_for_first(self):
        """Wait until it has looked once."""
        assert self._begun.acquire(timeout=30)

    def again(self):
        """Let it look once more, and wait for that."""
        self._next.release()
        assert self._begun.acquire(timeout=30)

    def end(self):
        """Let it look as often as it likes."""
        self._over = True
        self._next.release()


def test_a_leader_is_relieved_when_a_second_look_finds_it_at_the_same_request(ended):
    """Not before, and not where it has gone on to another one."""
    looks = Looks()
    crew = Crew(ended, idle_seconds=60, pause=looks)
    crew.start()
    with closing(Echo()) as lasting, closing(Echo()) as short:
        crew.watch(short)
        assert short.ask(b"x") == b"x"
        looks.wait_for_first()
        for _ in range(3):
            assert short.ask(b"x") == b"x"
            looks.again()
        assert len(set(short.served_by)) == 1
        crew.watch(lasting)
        lasting.client.sendall(b"h")
        while not lasting.served_by:
            looks.again()
        short.client.sendall(b"x")
        looks.again()
        looks.again()
        assert short.client.recv(1) == b"x"
        assert short.served_by[-1] != lasting.served_by[-1]
        lasting.held.set()
        assert lasting.client.recv(1) == b"h"
        looks.end()
    crew.stop()


class Poll:
    """A set of watched descriptors with room for so many more."""

    def __init__(self, poll, room):
        self._poll = poll
        self.room = room

    def register(self, *arguments):
        """Watch a descriptor, where there is room."""
        if not self.room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.room -= 1
        self._poll.register(*arguments)

    def __getattr__(self, name):
        return getattr(self._poll, name)


def test_one_that_the_kernel_does_not_watch_is_not_served(crew, ended):
    """Whoever brings it is told; one that was served before ends, and the others are served on."""
    crew._poll = Poll(crew._poll, room=2)
    with closing(Echo()) as first, closing(Echo()) as second, closing(Echo()) as third:
        crew.watch(first)
        crew.watch(second)
        with pytest.raises(OSError, match="No space left"):
            crew.watch(third)
        third.end()
        first.held.set()
        assert first.ask(b"a") == b"a"  # whoever steps aside has to be watched again
        assert ended.one.wait(30)
        assert ended.connections == [first]
        assert second.ask(b"x") == b"x"


def test_threads_end_with_the_crew(ended):
    """The leader, those who waited and the overseer."""
    before = set(threading.enumerate())
    crew = Crew(ended, idle_seconds=60)
    crew.start()
    with closing(Echo()) as connection:
        crew.watch(connection)
        connection.held.set()
        assert connection.ask(b"a") == b"a"
    crew.stop()
    for thread in set(threading.enumerate()) - before:
        thread.join(30)
        assert not thread.is_alive()

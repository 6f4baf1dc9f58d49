"""Listeners: ports and sockets."""

import socket

import pytest
from starlette.applications import Starlette

from batchai_recipes.service.listener import Listener, ListenerError, PortInUseError, bind


def test_a_port_is_taken_and_kept():
    """Nobody else gets it until the socket is closed."""
    taken = bind("127.0.0.1", 0)
    port = taken.getsockname()[1]

    with pytest.raises(PortInUseError, match=f"127.0.0.1:{port}.*another port"):
        bind("127.0.0.1", port)
    taken.close()
    bind("127.0.0.1", port).close()


def test_a_port_out_of_range_is_an_error_like_any_other():
    """Not a traceback."""
    with pytest.raises(PortInUseError, match="99999"):
        bind("127.0.0.1", 99999)


def test_accepted_connections_are_known_as_tcp():
    """By that asyncio decides whether to send small answers at once."""
    taken = bind("127.0.0.1", 0)
    client = socket.create_connection(taken.getsockname())
    accepted, _ = taken.accept()

    assert accepted.proto == socket.IPPROTO_TCP
    for one in (accepted, client, taken):
        one.close()


def test_a_server_that_cannot_start_is_an_error_that_tells_where_to_look(caplog):
    """At once, not when the time is over; the log has the reason."""
    taken = bind("127.0.0.1", 0)
    listener = Listener(Starlette(), taken)
    listener._server.config.load = lambda: 1 / 0
    with pytest.raises(ListenerError, match=r"127\.0\.0\.1:\d+ did not start .*the log"):
        listener.start()
    taken.close()

    assert "ZeroDivisionError" in caplog.text

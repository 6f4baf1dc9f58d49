"""The driver: the process that talks to Ray for a service, and ends when either has gone.

``python -m batchai_recipes.service.engines.ray.driver DESCRIPTOR`` reads what to do from a socket.
"""

import importlib
import os
import queue
import sys
import threading
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final, NoReturn

from batchai_recipes.service.engines.ray.answers import Answers
from batchai_recipes.service.engines.ray.calls import Calls
from batchai_recipes.service.engines.ray.fleet import Fleet
from batchai_recipes.service.engines.ray.following import Following
from batchai_recipes.service.engines.ray.head import Head
from batchai_recipes.service.engines.ray.messages import (
    Adopt,
    Call,
    Changed,
    Connected,
    Failed,
    Home,
    Leave,
    Make,
    Release,
    Stop,
    Sweep,
)
from batchai_recipes.service.engines.ray.options import RayOptions
from batchai_recipes.service.engines.ray.service_shares import ServiceShares

_CONNECT_SECONDS: Final = 30.0


class Driver:
    """Does what a service asks of Ray.

    Args:
        connection: Leads to the service.
        messages: What the service says.
        home: What every node is told.
        options: How to use Ray.
    """

    def __init__(
        self,
        connection: Connection,
        messages: "queue.SimpleQueue[object]",
        home: Home,
        options: RayOptions,
    ) -> None:
        self._connection = connection
        self._messages = messages
        self._sending = threading.Lock()
        self._answers = Answers(self._fail)
        self._following = Following(
            ServiceShares(Path(home.state) / "shares"),
            ask=self._answers.ask,
            changed=lambda node_id, changes: self._send(Changed(node_id, changes)),
            lost=self._lose,
            patience_seconds=options.silence_seconds,
        )
        self._fleet = Fleet(
            home, options, answers=self._answers, following=self._following, send=self._send
        )
        self._calls = Calls(actor=self._fleet.actor, answers=self._answers, send=self._send)
        self._head = Head(lost=self._fail, looked=self._look)

    def run(self) -> None:
        """Work until the service has gone."""
        self._answers.start()
        self._head.watch()
        self._send(Connected())
        while not isinstance(message := self._messages.get(), Stop):
            self._take(message)
        self._fleet.wait_for_ends()

    def _take(self, message: object) -> None:
        if isinstance(message, Call):
            self._calls.make(message)
        elif isinstance(message, Make):
            self._fleet.make(message.node)
        elif isinstance(message, Adopt):
            self._fleet.adopt(message.nodes)
        elif isinstance(message, Release):
            self._fleet.release(message.node_id)
        elif isinstance(message, Sweep):
            self._fleet.sweep(set(message.node_ids))
        elif isinstance(message, Leave):
            self._fleet.leave()

    def _look(self) -> None:
        self._following.look()
        self._fleet.look()

    def _lose(self, node_id: str, why: str) -> None:
        self._fleet.lose(node_id, why)

    def _send(self, message: object) -> None:
        with self._sending:
            try:
                self._connection.send(message)
            except OSError:
                os._exit(0)  # the service has gone

    def _fail(self, message: str) -> None:
        """End: the service starts another driver, which looks for the head."""
        self._send(Failed(message))
        os._exit(1)


def _read(connection: Connection, messages: "queue.SimpleQueue[object]") -> None:
    """Hear the service; once it has gone, end, whatever this process waits for."""
    while True:
        try:
            messages.put(connection.recv())
        except (EOFError, OSError):  # noqa: PERF203  # it happens once
            os._exit(0)


def _give_up(connection: Connection, message: str) -> NoReturn:
    connection.send(Failed(message))
    os._exit(1)


def main(descriptor: int) -> None:
    """Connect to Ray and work until the service has gone.

    Args:
        descriptor: The socket that leads to the service.
    """
    connection = Connection(descriptor)
    messages: queue.SimpleQueue[object] = queue.SimpleQueue()
    home, options = connection.recv()
    threading.Thread(target=_read, args=(connection, messages), daemon=True).start()
    problem = f"There is no Ray cluster at {options.address!r}"
    too_long = threading.Timer(_CONNECT_SECONDS, _give_up, (connection, f"{problem}: no answer"))
    too_long.daemon = True
    too_long.start()
    try:
        importlib.import_module("ray").init(
            address=options.address,
            namespace=home.namespace,
            log_to_driver=False,
            logging_level="error",
            configure_logging=False,
        )
    except Exception as error:  # noqa: BLE001  # whatever Ray says of it
        _give_up(connection, f"{problem}: {error}")
    too_long.cancel()
    Driver(connection, messages, home, options).run()
    os._exit(0)  # nodes are detached, and Ray's own clean-up may wait for a head that is gone


if __name__ == "__main__":
    main(int(sys.argv[1]))

"""The service's end of the driver: starts it, starts it again, and asks through it."""

import contextlib
import itertools
import logging
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

from attrs import evolve

from batchai_recipes.service.engines.ray.messages import (
    Answer,
    Call,
    Connected,
    Failed,
    Home,
    Stop,
)
from batchai_recipes.service.engines.ray.options import RayOptions

_FIRST_PAUSE_SECONDS: Final = 0.5
_LONGEST_PAUSE_SECONDS: Final = 15.0
_STOP_SECONDS: Final = 20.0
_TAIL_BYTES: Final = 2000
_UNAUTHENTICATED: Final = (
    ". Start the service with the cluster's token: in ~/.ray/auth_token, in a file that "
    "RAY_AUTH_TOKEN_PATH names, or in RAY_AUTH_TOKEN, with RAY_AUTH_MODE=token"
)
_PROGRAM: Final = "batchai_recipes.service.engines.ray.driver"

_logger = logging.getLogger(__name__)


class DriverLink:
    """Keeps a driver running and talks to it.

    Args:
        home: What every node is told.
        options: How to use Ray.
        log: Where the driver's own output goes.
        heard: Called, from the link's thread, with what the driver says.
    """

    def __init__(
        self, home: Home, options: RayOptions, log: Path, heard: Callable[[object], None]
    ) -> None:
        self._home = home
        self._options = options
        self._log = log
        self._heard = heard
        self._lock = threading.Lock()
        self._connection: Connection | None = None
        self._is_introduced = False
        self._process: subprocess.Popen[bytes] | None = None
        self._numbers = itertools.count(1)
        self._asked: dict[int, Callable[[Answer], None]] = {}
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin, in a thread of its own."""
        self._thread = threading.Thread(target=self._run, name="ray-driver", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the driver; nodes and what runs on them go on."""
        self._stopping.set()
        told = self.send(Stop())
        with self._lock:
            process = self._process
        if process is not None:
            if told:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(_STOP_SECONDS)
            process.kill()
        if self._thread is not None:
            self._thread.join()

    def send(self, message: object) -> bool:
        """Tell the driver something.

        Args:
            message: What.

        Returns:
            Whether there is a driver.
        """
        with self._lock:
            if self._connection is None:
                return False
            try:
                self._connection.send(message)
            except OSError:
                return False
            return True

    def ask(
        self,
        node_id: str,
        method: str,
        *arguments: object,
        answered: Callable[[Answer], None],
    ) -> None:
        """Have a node do something, without waiting for its answer.

        Args:
            node_id: The node.
            method: What.
            arguments: The method's arguments.
            answered: Called once, with what the node answers or why it could not be asked, from the
                link's thread; within this call where there is no driver. A node that never
                answers is lost some time, which is an answer, too.
        """
        number = next(self._numbers)
        self._asked[number] = answered
        # No sooner than the driver has been told which nodes there are: else it knows none.
        if not (self._is_introduced and self.send(Call(number, node_id, method, arguments))):
            why = "Ray cannot be reached at the moment"
            self._settle(Answer(number, unreachable=why, unheard=True))

    def tell(self, node_id: str, method: str, *arguments: object) -> None:
        """Have a node do something, without waiting for it.

        Args:
            node_id: The node.
            method: What.
            arguments: The method's arguments.
        """
        self.send(Call(0, node_id, method, arguments))

    def _run(self) -> None:
        pause = _FIRST_PAUSE_SECONDS
        while not self._stopping.is_set():
            connection = self._start_driver()
            if connection is not None and self._listen(connection):
                pause = _FIRST_PAUSE_SECONDS
            self._end_driver()
            self._stopping.wait(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    def _start_driver(self) -> Connection | None:
        here, there = socket.socketpair()
        environment = {
            **os.environ,
            # The driver looks after this itself; a minute without the head ends it.
            "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
        }
        try:
            with there, self._log.open("ab") as log:
                process = subprocess.Popen(  # noqa: S603  # our own program
                    [sys.executable, "-m", _PROGRAM, str(there.fileno())],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env=environment,
                    pass_fds=(there.fileno(),),
                    start_new_session=True,  # a Ctrl-C in the terminal is not for it
                )
        except OSError as error:
            _logger.error("Ray's driver cannot be started: %s", error)  # noqa: TRY400  # it says why
            here.close()
            return None
        connection = Connection(here.detach())
        connection.send((self._home, self._options))
        with self._lock:
            self._process = process
        if self._stopping.is_set():
            process.kill()
        return connection

    def _listen(self, connection: Connection) -> bool:
        """Hear the driver until it ends or cannot be heard; tell whether it ever found Ray."""
        connected = False
        while True:
            try:
                message = connection.recv()
            except (EOFError, OSError):
                break
            if isinstance(message, Failed) and not connected:
                message = evolve(message, message=f"{message.message}{self._said()}")
            if isinstance(message, Connected):
                connected = True
                with self._lock:
                    self._connection = connection
            if not self._take_in(message):
                break  # what was lost, the nodes tell the next driver
            self._is_introduced = connected
        with self._lock:
            self._connection = None
        self._is_introduced = False
        connection.close()
        for number in list(self._asked):
            self._settle(Answer(number, unreachable="Ray's driver ended"))
        if connected and not self._stopping.is_set():
            self._take_in(Failed("the driver of Ray ended"))
        return connected

    def _take_in(self, message: object) -> bool:
        try:
            if isinstance(message, Answer):
                self._settle(message)
            else:
                self._heard(message)
        except Exception:
            # Say, the disk is full. The thread must live on, for it will not stay so.
            _logger.exception("What the driver of Ray says cannot be taken in; another is started")
            return False
        return True

    def _settle(self, answer: Answer) -> None:
        answered = self._asked.pop(answer.number, None)
        if answered is not None:
            answered(answer)

    def _said(self) -> str:
        """Return what Ray said last, which an exception of it does not tell."""
        try:
            with self._log.open("rb") as log:
                log.seek(max(log.seek(0, os.SEEK_END) - _TAIL_BYTES, 0))
                lines = log.read().decode(errors="replace").splitlines()
        except OSError:
            return ""
        line = lines[-1].rpartition("] ")[2].strip() if lines else ""
        hint = _UNAUTHENTICATED if "Unauthenticated" in line else ""
        return f" ({line}){hint}" if line else ""

    def _end_driver(self) -> None:
        with self._lock:
            process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            process.wait()

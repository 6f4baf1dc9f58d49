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

from attrs import define, evolve, field

from batchai_recipes.service.engines.engine import EngineError, MountError
from batchai_recipes.service.engines.ray.messages import (
    Answer,
    Call,
    Connected,
    Failed,
    Home,
    Refusal,
    Stop,
)
from batchai_recipes.service.engines.ray.options import RayOptions

_FIRST_PAUSE_SECONDS: Final = 0.5
_LONGEST_PAUSE_SECONDS: Final = 15.0
_STOP_SECONDS: Final = 20.0
_CONNECT_SECONDS: Final = 5.0
_TAIL_BYTES: Final = 2000
_UNAUTHENTICATED: Final = (
    ". Start the service with the cluster's token: in ~/.ray/auth_token, in a file that "
    "RAY_AUTH_TOKEN_PATH names, or in RAY_AUTH_TOKEN, with RAY_AUTH_MODE=token"
)
_PROGRAM: Final = "batchai_recipes.service.engines.ray.driver"

_logger = logging.getLogger(__name__)


class UnreachableError(EngineError):
    """A node could not be asked; whether it has heard is not known."""


@define
class _Waiting:
    done: threading.Event = field(factory=threading.Event)
    answer: Answer | None = None


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
        self._is_connected = threading.Event()
        self._connection: Connection | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._numbers = itertools.count(1)
        self._waiting: dict[int, _Waiting] = {}
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

    def call(self, node_id: str, method: str, *arguments: object, timeout_seconds: float) -> object:
        """Have a node do something, and wait for its answer.

        Args:
            node_id: The node.
            method: What.
            arguments: The method's arguments.
            timeout_seconds: How long to wait.

        Returns:
            What it returned.

        Raises:
            MountError: It refused for that reason.
            EngineError: It refused.
            UnreachableError: It could not be asked, or did not answer in time.
        """
        number = next(self._numbers)
        waiting = self._waiting[number] = _Waiting()
        try:
            self._is_connected.wait(min(_CONNECT_SECONDS, timeout_seconds))
            if not self.send(Call(number, node_id, method, arguments)):
                raise UnreachableError("Ray cannot be reached at the moment")
            if not waiting.done.wait(timeout_seconds):
                raise UnreachableError(f"Node {node_id} has not answered in {timeout_seconds:g} s")
        finally:
            del self._waiting[number]
        answer = waiting.answer
        if answer is None or answer.unreachable:
            why = "Ray's driver ended" if answer is None else answer.unreachable
            raise UnreachableError(f"Node {node_id} cannot be asked: {why}")
        if isinstance(answer.value, Refusal):
            kind = MountError if answer.value.kind == "MountError" else EngineError
            raise kind(answer.value.message)
        return answer.value

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
            _logger.error("Ray's driver cannot be started: %s", error)  # noqa: TRY400
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
        """Hear the driver until it ends; tell whether it ever found Ray."""
        connected = False
        while True:
            try:
                message = connection.recv()
            except (EOFError, OSError):
                break
            if isinstance(message, Answer):
                waiting = self._waiting.get(message.number)
                if waiting is not None:
                    waiting.answer = message
                    waiting.done.set()
                continue
            if isinstance(message, Failed) and not connected:
                message = evolve(message, message=f"{message.message}{self._said()}")
            if isinstance(message, Connected):
                connected = True
                with self._lock:
                    self._connection = connection
                self._is_connected.set()
            self._heard(message)
        with self._lock:
            self._connection = None
        self._is_connected.clear()
        connection.close()
        for waiting in list(self._waiting.values()):
            waiting.done.set()
        if connected and not self._stopping.is_set():
            self._heard(Failed("the driver of Ray ended"))
        return connected

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

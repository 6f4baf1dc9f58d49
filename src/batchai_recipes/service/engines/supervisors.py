"""Starting supervisors, through the process that they are forked from."""

import contextlib
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_PATIENCE_SECONDS = 60.0
# The package is put on the path of an isolated interpreter by itself, as standard library only.
_PROGRAM = "import sys; sys.path.append(sys.argv[1]); from supervision import parent; "
_CALL = "parent.main(int(sys.argv[2]), outlived=sys.argv[3] == 'outlived')"


class SupervisorError(Exception):
    """A supervisor could not be started; the message says why."""


class Supervisors:
    """Starts supervisors, which then belong to nobody but themselves.

    Args:
        log: Where they report what they can tell nobody else.
        environment: The variables of the processes; a task's own come with the task.
        outlived: Whether supervisors and their tasks outlive this process; if not, they are killed
            when it ends, however that happens.
    """

    def __init__(self, log: Path, environment: Mapping[str, str], *, outlived: bool = True) -> None:
        self._outlived = outlived
        self._log = log
        self._environment = environment
        self._lock = threading.Lock()
        self._parent: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None

    def get_ready(self) -> None:
        """Start the process that supervisors are forked from, unless it runs; does not wait.

        Raises:
            SupervisorError: It cannot be started.
        """
        with self._lock:
            self._ensure_parent()

    def start(self, task: Mapping[str, Any]) -> socket.socket:
        """Start a supervisor for a task; does not wait for its answer.

        Args:
            task: What :class:`~batchai_recipes.service.engines.supervision.supervisor.Supervisor`
                shall run; ``record`` says where its record will be.

        Returns:
            A socket on which the supervisor answers: ``{"outcome": "claimed"}``, ``{"outcome":
            "already claimed"}`` or ``{"outcome": "failed", "message": ...}``. It holds the other
            end as long as it lives.

        Raises:
            SupervisorError: It could not be started, and nothing of the task ever runs.
        """
        request = json.dumps(task).encode()
        with self._lock:
            try:
                return self._send(request)
            except OSError:
                # The parent was killed. The claim keeps a task from running twice.
                self._close()
            try:
                return self._send(request)
            except OSError as error:
                self._close()
                raise SupervisorError(f"{error}; see {self._log}") from error

    def close(self) -> None:
        """End the process that supervisors are forked from; they themselves go on."""
        with self._lock:
            self._close()

    def _send(self, request: bytes) -> socket.socket:
        control = self._ensure_parent()
        here, there = socket.socketpair()
        try:
            with there:
                socket.send_fds(control, [b"t"], [there.fileno()])
            here.settimeout(_PATIENCE_SECONDS)
            here.sendall(request)
            here.shutdown(socket.SHUT_WR)
        except BaseException:
            here.close()
            raise
        return here

    def _ensure_parent(self) -> socket.socket:
        if self._parent is not None and self._parent.poll() is not None:
            self._close()
        if self._control is not None:
            return self._control
        here, there = socket.socketpair()
        try:
            with there, self._log.open("ab") as log:
                folder = str(Path(__file__).parent)
                self._parent = subprocess.Popen(  # noqa: S603  # our own program
                    [
                        sys.executable,
                        "-I",
                        "-S",
                        "-c",
                        _PROGRAM + _CALL,
                        folder,
                        str(there.fileno()),
                        "outlived" if self._outlived else "alone",
                    ],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env=dict(self._environment),
                    cwd="/",
                    pass_fds=(there.fileno(),),
                    start_new_session=True,  # a Ctrl-C in the terminal is not for supervisors
                )
        except OSError as error:
            here.close()
            raise SupervisorError(f"{sys.executable} cannot be started: {error}") from error
        self._control = here
        return here

    def _close(self) -> None:
        if self._control is not None:
            self._control.close()
            self._control = None
        if self._parent is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._parent.wait(_PATIENCE_SECONDS)
            self._parent = None

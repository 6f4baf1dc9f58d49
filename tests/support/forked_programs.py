"""Programs in processes of their own that have what takes long to load loaded already.

An interpreter that loads the commands, the Azure clients and the service takes a second of a
processor, and tests start hundreds. One process loads them once; each program is forked from it,
with an environment, a folder and streams of its own, and is measured where programs are.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

from typing_extensions import Self

COMMAND = "from batchai_recipes.cli import main; main()"
"""The program that `batchai-recipes` is."""

LOADED = """
import azure.identity, azure.mgmt.batchai, azure.mgmt.resource.resources, azure.storage.file
import batchai_recipes.cli.app, batchai_recipes.cli.serve, batchai_recipes.service.app
import batchai_recipes.session.training_session
"""
"""What programs need, as Python loads it."""


class ForkedPrograms:
    """The process that programs are forked from.

    Args:
        loaded: A program that loads what they need.
    """

    def __init__(self, loaded: str = LOADED) -> None:
        self._asks, asked = socket.socketpair()
        with asked:
            self._process = subprocess.Popen(
                [sys.executable, __file__, str(asked.fileno()), loaded],
                pass_fds=[asked.fileno()],
                env={k: v for k, v in os.environ.items() if not k.startswith("COVERAGE_PROCESS_")},
            )

    def start(
        self,
        program: str,
        *arguments: object,
        environment: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> "ForkedProgram":
        """Start a program, as `python -c` with arguments does; its streams are pipes.

        Args:
            program: The program.
            arguments: What `sys.argv` has after its first element.
            environment: Its environment; that of this process where it is left out.
            cwd: Its working directory, likewise.
        """
        variables = dict(os.environ if environment is None else environment)
        asked = [program, [*map(str, arguments)], variables, str(cwd or Path.cwd())]
        pipes = [os.pipe() for _ in range(4)]
        (stdin, write), (read, stdout), (read_errors, stderr), (news, tell) = pipes
        message = json.dumps(asked).encode()
        socket.send_fds(
            self._asks, [len(message).to_bytes(4, "big")], [stdin, stdout, stderr, tell]
        )
        self._asks.sendall(message)
        for one in (stdin, stdout, stderr, tell):
            os.close(one)
        return ForkedProgram(write, read, read_errors, news)

    def run(
        self,
        program: str,
        *arguments: object,
        environment: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> "subprocess.CompletedProcess[str]":
        """Run a program to its end, without anything on its standard input."""
        with self.start(program, *arguments, environment=environment, cwd=cwd) as process:
            output, errors = process.communicate()
        return subprocess.CompletedProcess([program, *arguments], process.wait(), output, errors)

    def close(self) -> None:
        """End the process; no program is started from then on."""
        self._asks.close()
        self._process.wait()


class ForkedProgram:
    """A program that runs, with the face of `subprocess.Popen`.

    Args:
        stdin: Where its standard input is written to.
        stdout: Where its standard output is read from.
        stderr: Where its standard error is read from.
        news: Where its process id and, when it has ended, its status are read from.
    """

    def __init__(self, stdin: int, stdout: int, stderr: int, news: int) -> None:
        self.stdin = os.fdopen(stdin, "w")
        self.stdout = os.fdopen(stdout, encoding="utf-8")
        self.stderr = os.fdopen(stderr, encoding="utf-8")
        self._news = os.fdopen(news)
        self.pid = int(self._news.readline())
        self.returncode: int | None = None

    def send_signal(self, number: int) -> None:
        """Send it a signal; one that has ended gets none."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill it with -9."""
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def poll(self) -> int | None:
        """Return its exit status if it has ended."""
        if self.returncode is None and _has_something(self._news.fileno()):
            self.wait()
        return self.returncode

    def wait(self) -> int:
        """Wait until it has ended; return its exit status, or the signal's number below zero."""
        if self.returncode is None:
            self.returncode = int(self._news.readline())
        return self.returncode

    def communicate(self) -> tuple[str, str]:
        """Close its standard input, and return what it still says on the other two."""
        errors: list[str] = []
        reader = threading.Thread(target=lambda: errors.append(self.stderr.read()))
        reader.start()
        self.stdin.close()
        output = self.stdout.read()
        reader.join()
        self.wait()
        return output, errors[0]

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Wait until it has ended, and close its streams."""
        for stream in (self.stdin, self.stdout, self.stderr):
            stream.close()
        self.wait()
        self._news.close()


def _has_something(stream: int) -> bool:
    import select  # noqa: PLC0415 - this file is also the program that forks

    return bool(select.select([stream], [], [], 0)[0])


def _serve(asked: socket.socket) -> None:
    """Fork a program for each that is asked for, until nobody can ask any more."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        head, streams, _, _ = socket.recv_fds(asked, 4, 4)
        if not head:
            return
        message = b""
        while len(message) < int.from_bytes(head, "big"):
            message += asked.recv(1 << 20)
        if os.fork() == 0:
            asked.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            _watch(*json.loads(message), *streams)
        for stream in streams:
            os.close(stream)


def _watch(
    program: str, arguments: list[str], environment: dict[str, str], cwd: str, *streams: int
) -> None:
    """Fork the program, and say which process it is and how it ended."""
    *streams_of_program, news = streams
    child = os.fork()
    if child == 0:
        os.close(news)
        _run(program, arguments, environment, cwd, streams_of_program)
    for number, stream in enumerate(streams_of_program):
        os.close(stream)
        os.close(number)  # who reads its pipes is not to wait for this process
    os.write(news, f"{child}\n".encode())
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    os.write(news, f"{status}\n".encode())
    os._exit(0)


def _run(
    program: str, arguments: list[str], environment: dict[str, str], cwd: str, streams: list[int]
) -> None:
    """Be the program."""
    import atexit  # noqa: PLC0415 - only here
    import traceback  # noqa: PLC0415 - likewise

    # A shell leaves SIGINT ignored in what it starts in the background.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    sys.stdin, sys.stdout, sys.stderr = os.fdopen(0), os.fdopen(1, "w"), os.fdopen(2, "w", 1)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(cwd)
    sys.argv = ["-c", *arguments]
    if "COVERAGE_PROCESS_CONFIG" in environment:
        import coverage  # noqa: PLC0415 - only where programs are measured

        coverage.process_startup(force=True)
    status: object = 0
    try:
        exec(program, {"__name__": "__main__"})
    except SystemExit as ended:
        status = ended.code
    except KeyboardInterrupt:
        traceback.print_exc()
        status = -signal.SIGINT
    except BaseException:  # noqa: BLE001 - as the interpreter does
        traceback.print_exc()
        status = 1
    if isinstance(status, str):
        print(status, file=sys.stderr)  # noqa: T201 - as the interpreter does
    threading._shutdown()
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
    except OSError:  # its reader has gone
        status = 120
    if status == -signal.SIGINT:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.raise_signal(signal.SIGINT)
    os._exit(status if isinstance(status, int) else int(status is not None))


if __name__ == "__main__":
    exec(sys.argv[2])
    _serve(socket.socket(fileno=int(sys.argv[1])))

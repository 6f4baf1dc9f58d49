"""The process that a service runs in: its lock, its address file, its signals, its end."""

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path

from batchai_recipes.service.address import ServiceAddress
from batchai_recipes.service.app import Service, ServiceOptions
from batchai_recipes.service.file_lock import FileLock
from batchai_recipes.service.state_directory import StateDirectory, write_private
from batchai_recipes.stop_request import StopRequest


class StateInUseError(Exception):
    """Another service runs on the state directory."""


def run(
    options: ServiceOptions,
    *,
    env_file: Path | None = None,
    announce: Callable[[ServiceAddress], None] = lambda _: None,
) -> None:
    """Run a service until SIGTERM, Ctrl-C or, when so asked, its last user has gone.

    Args:
        options: How to run it.
        env_file: Where to write the address as shell assignments (mode 0600), if anywhere.
        announce: Told the address once requests are answered.

    Raises:
        StateInUseError: Another service runs on the state directory.
        PortInUseError: A port is taken.
        StateTooNewError: The state directory was written by a later release.
        OSError: The state directory or the env file cannot be written.
        ValueError: A file of the state directory is damaged.
    """
    state = options.state
    state.create()
    stop = StopRequest()
    stop.set_upon(signal.SIGTERM, signal.SIGINT)
    lock = FileLock(state.lock)
    if not lock.try_exclusive():
        raise StateInUseError(
            f"Another service runs on {state.root}: stop it, or name another --state-dir"
        )
    service = Service(options)
    try:
        address = service.start()
        try:
            if env_file is not None:
                write_private(env_file, address.as_shell())
            write_private(state.address, address.as_json())
            announce(address)
            if options.until_unused:
                _watch_users(state, stop)
            stop.wait()
        finally:
            state.address.unlink(missing_ok=True)
    finally:
        # The lock is left to the operating system: it is free when the process has really ended.
        service.stop()


def _watch_users(state: StateDirectory, stop: StopRequest) -> None:
    """Stop the service once no program holds the users' lock.

    The launch lock is taken too, so that no program adopts a service that is about to stop: it
    either comes before, and then holds the users' lock, or finds no address file any more.
    """
    users, launching = FileLock(state.users), FileLock(state.launch_lock)

    def watch() -> None:
        while True:
            users.exclusive()
            if launching.try_exclusive():
                state.address.unlink(missing_ok=True)
                launching.release()
                users.release()
                return
            # A program is adopting this service: let it have the users' lock, and wait for it.
            launching.release()
            users.release()
            launching.exclusive()
            launching.release()

    def watch_and_stop() -> None:
        try:
            watch()
        finally:
            stop.set()  # also when the state directory was deleted under the service

    threading.Thread(target=watch_and_stop, name="users", daemon=True).start()


def tell_ready(descriptor: int) -> None:
    """Tell the launcher, through the pipe that it gave, that the service answers.

    Args:
        descriptor: The pipe's end for writing; closed afterwards.
    """
    os.write(descriptor, b"1")
    os.close(descriptor)

"""Starting, adopting and stopping the embedded service: the SDK half's only door to it.

A service runs in a process of its own, so that it and its jobs do not share the fate of the program
that uses them. Programs that use the same state directory share one service. Each holds a shared
lock on a file as long as it uses the service; the service, waiting for the exclusive lock, learns
at once when the last of them has gone, however it ended.
"""

import contextlib
import os
import select
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

from batchai_recipes.service.address import ServiceAddress
from batchai_recipes.service.file_lock import FileLock
from batchai_recipes.service.state_directory import StateDirectory

START_TIMEOUT_SECONDS = 60.0
STOP_TIMEOUT_SECONDS = 30.0
_LOG_TAIL_BYTES = 2000
_LEAST_ROOM_BYTES = 1 << 20


class LaunchError(Exception):
    """The embedded service did not start; the message says why."""


class LocalService:
    """The embedded service of a state directory, used by this program until it is closed.

    Args:
        state_dir: The folder that holds everything the service knows; made when missing.

    Raises:
        LaunchError: The folder is not usable or the service did not start.
    """

    def __init__(self, state_dir: Path) -> None:
        self._state = StateDirectory(state_dir.absolute())
        self._reaper: threading.Thread | None = None
        try:
            bytes(str(self._state.root), "utf-8")  # the records name it
            self._state.create()
        except (OSError, UnicodeEncodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is no text in UTF-8"
            raise LaunchError(
                f"The state directory {state_dir} cannot be made: {why}; name another with "
                f"BATCHAI_RECIPES_STATE_DIR"
            ) from error
        self._users = FileLock(self._state.users)
        self._clients = FileLock(self._state.clients)
        launching = FileLock(self._state.launch_lock)
        try:
            launching.exclusive()
            self._users.shared()
            self._clients.shared()
            self._address = self._running() or self._launch()
        except OSError as error:
            self._leave()
            raise LaunchError(
                f"The state directory {state_dir} cannot be used: {error}; name another with "
                f"BATCHAI_RECIPES_STATE_DIR"
            ) from error
        except BaseException:
            self._leave()
            raise
        finally:
            launching.release()

    @property
    def address(self) -> ServiceAddress:
        """Where the service listens and what one needs to talk to it."""
        return self._address

    def close(self) -> None:
        """Stop using the service; one that was started by a program stops when its last user does.

        Waits for that end, so that no process is left behind. Jobs that still run go on, and the
        next service of the state directory takes them up again.
        """
        last = self._clients.try_exclusive()
        self._leave()
        if last and self._address.until_unused:
            self._wait_until_stopped()

    def _leave(self) -> None:
        self._clients.release()
        self._users.release()

    def _running(self) -> ServiceAddress | None:
        service_lock = FileLock(self._state.lock)
        deadline = time.monotonic() + STOP_TIMEOUT_SECONDS
        pause = 0.005
        # A service that is about to stop has removed its address but still holds its lock.
        while not service_lock.try_exclusive():
            try:
                return _whole(self._read_address(), self._state)
            except FileNotFoundError:
                if time.monotonic() > deadline:
                    raise LaunchError(
                        f"A service holds {self._state.lock} but does not say where it listens; "
                        f"see {self._state.log}, or use another state directory"
                    ) from None
            finally:
                service_lock.release()
            time.sleep(pause)
            pause = min(2 * pause, 0.2)
        service_lock.release()
        return None

    def _launch(self) -> ServiceAddress:
        ready, write_end = os.pipe()
        command = [
            *(sys.executable, "-m", "batchai_recipes.service"),
            *("--state-dir", str(self._state.root), "--until-unused"),
            *("--ready-fd", str(write_end)),
        ]
        try:
            with self._state.log.open("ab") as log:
                process = subprocess.Popen(  # noqa: S603 - our own module
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    pass_fds=(write_end,),
                    cwd=self._state.root,
                    start_new_session=True,  # a Ctrl-C in the terminal is not for the service
                )
        except OSError as error:
            os.close(ready)
            raise LaunchError(f"{sys.executable} cannot be started: {error}") from error
        finally:
            os.close(write_end)
        # The service may outlive this object, when other programs use it; its end is noted whenever
        # it comes, so that it never stays behind as a zombie.
        self._reaper = threading.Thread(target=process.wait, name="service", daemon=True)
        self._reaper.start()
        try:
            self._wait_until_ready(ready)
        except BaseException:
            process.terminate()
            self._reaper.join()
            raise
        finally:
            os.close(ready)
        return self._read_address()

    def _read_address(self) -> ServiceAddress:
        try:
            return ServiceAddress.from_file(self._state.address)
        except ValueError as error:
            raise LaunchError(
                f"{self._state.address} is damaged: stop the service of that state directory and "
                f"start it again ({error})"
            ) from error

    def _wait_until_ready(self, ready: int) -> None:
        readable, _, _ = select.select([ready], [], [], START_TIMEOUT_SECONDS)
        if not readable:
            raise LaunchError(
                f"The embedded service was not ready within {START_TIMEOUT_SECONDS:.0f} s; "
                f"see {self._state.log}"
            )
        if os.read(ready, 1) != b"1":
            raise LaunchError(
                f"The embedded service did not start; the end of {self._state.log}:\n"
                f"{_tail(self._state.log) or 'nothing was written there'}{self._full_disk()}"
            )

    def _full_disk(self) -> str:
        """Say that the disk is full, if it is: the service cannot write that itself."""
        if shutil.disk_usage(self._state.root).free >= _LEAST_ROOM_BYTES:
            return ""
        return (
            f"\nThere is no room on the disk of {self._state.root}: make some, or name another "
            f"folder with BATCHAI_RECIPES_STATE_DIR"
        )

    def _wait_until_stopped(self) -> None:
        service_lock = FileLock(self._state.lock)
        deadline = time.monotonic() + STOP_TIMEOUT_SECONDS
        pause = 0.005
        # Where somebody deleted the state directory, there is no lock to wait for any more.
        with contextlib.suppress(FileNotFoundError):
            while not service_lock.try_exclusive() and time.monotonic() < deadline:
                time.sleep(pause)
                pause = min(2 * pause, 0.2)
        service_lock.release()
        if self._reaper is not None:
            self._reaper.join(STOP_TIMEOUT_SECONDS)


def _whole(address: ServiceAddress, state: StateDirectory) -> ServiceAddress:
    if address.only_files:
        raise LaunchError(
            f"A service for files only runs on {state.root}: stop it, or name another state "
            f"directory with BATCHAI_RECIPES_STATE_DIR"
        )
    return address


def _tail(log: Path) -> str:
    content = log.read_bytes()[-_LOG_TAIL_BYTES:]
    return content.decode(errors="replace").strip()

"""The process that runs one task, outlives the service, and records how the task ended."""

import contextlib
import errno
import json
import os
import signal
import sys
import time
import traceback
from typing import Any, NoReturn

from .processes import (
    PR_SET_CHILD_SUBREAPER,
    PR_SET_PDEATHSIG,
    WATCHED_SIGNALS,
    descendants,
    kill_all,
    kill_descendants,
    prctl,
    process_identity,
    read_all,
    reap,
    wait_for_signal,
)
from .task_record import TaskRecord

_KILL_AGAIN_SECONDS = 0.5
_FIRST_RETRY_SECONDS = 0.1
_LONGEST_RETRY_SECONDS = 30.0
_NOT_STARTED_CODES = {errno.ENOENT: 127, errno.EACCES: 126}


def supervise(connection: int) -> NoReturn:
    """Run a task in this process, which is a fresh one for it, to its end.

    Args:
        connection: A socket. The task is read from it up to its end, then the answer is written:
            ``{"outcome": "claimed"}``, ``{"outcome": "already claimed"}`` or ``{"outcome":
            "failed", "message": ...}``. It stays open, for its end tells the service of this one's.
    """
    try:
        os.setsid()
        # Blocked from here on, so that a SIGTERM sent right after the claim waits to be asked for.
        signal.pthread_sigmask(signal.SIG_SETMASK, WATCHED_SIGNALS)
        os.set_inheritable(connection, False)
        task = json.loads(read_all(connection))
        record = _claim(task, connection)
        if record is not None:
            _record_end(record, Supervisor(task, record).run())
    except BaseException:  # noqa: BLE001  # nobody above this could tell of it
        traceback.print_exc()
        os._exit(1)
    os._exit(0)  # nothing is left to flush, and nobody waits for this process


def _claim(task: dict[str, Any], connection: int) -> TaskRecord | None:
    record = None
    try:
        record = TaskRecord.claim(task["record"], process_identity(os.getpid()))
        answer = {"outcome": "claimed" if record else "already claimed"}
    except OSError as error:
        answer = failure(error)
    with contextlib.suppress(OSError):  # the service was killed; its successor finds the record
        os.write(connection, json.dumps(answer).encode())
    return record


def failure(error: OSError) -> dict[str, str]:
    """Make the answer of a supervisor that cannot do its work.

    Args:
        error: What is in the way.
    """
    return {"outcome": "failed", "message": _message(error)}


def _record_end(record: TaskRecord, ending: dict[str, Any]) -> None:
    pause = _FIRST_RETRY_SECONDS
    while True:
        try:
            return record.add("ended", ending)
        except OSError as error:  # noqa: PERF203  # as rare as it is bad
            # As long as it is not written the task counts as running, and its end is not lost.
            sys.stderr.write(f"{_message(error)}; next try in {pause:g} s\n")
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_RETRY_SECONDS)


class Supervisor:
    """Runs a claimed task to its end.

    Args:
        task: What to run: ``label``, ``notes``, ``title``, ``command``, ``environment``,
            ``working_directory``, ``stdout``, ``stderr``, ``log``, ``time_limit_seconds`` and
            ``grace_seconds``.
        record: Where to say how it goes.
    """

    def __init__(self, task: dict[str, Any], record: TaskRecord) -> None:
        self._task = task
        self._record = record
        self._reason = "exited"

    def run(self) -> dict[str, Any]:
        """Run the task and wait until nothing of it is left.

        Returns:
            How it ended, for the record.
        """
        prctl(PR_SET_CHILD_SUBREAPER, 1)
        label = self._task["label"]
        try:
            self._record.make_durable()
            self._log(*self._task["notes"], f"{label}: starting: {self._task['title']}")
            main = self._start()
        except OSError as error:
            return self._not_started(error)
        code = os.waitstatus_to_exitcode(self._wait(main))
        kill_descendants()
        how = f"by signal {-code}" if code < 0 else f"with exit code {code}"
        self._log(f"{label}: ended {how}")
        return _ending(self._reason, 128 - code if code < 0 else code)

    def _start(self) -> int:
        task = self._task
        stdin = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
        stdout, stderr = (_open_output(task[name]) for name in ("stdout", "stderr"))
        failure, tell = os.pipe()
        supervisor = os.getpid()
        main = os.fork()
        if main == 0:
            try:
                os.setsid()
                # Should the supervisor be killed, its task must not go on with nobody watching.
                prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
                if os.getppid() != supervisor:
                    os._exit(1)  # that has happened already
                self._record.add("main", process_identity(os.getpid()))
                for number, descriptor in enumerate((stdin, stdout, stderr)):
                    os.dup2(descriptor, number)
                os.chdir(task["working_directory"])
                for number in (signal.SIGPIPE, signal.SIGXFSZ):  # which Python ignores
                    signal.signal(number, signal.SIG_DFL)
                signal.pthread_sigmask(signal.SIG_SETMASK, ())
                command = task["command"]
                os.execve(command[0], command, task["environment"])  # noqa: S606  # it is the shell
            except OSError as error:
                os.write(tell, json.dumps([error.errno, _message(error)]).encode())
            except BaseException as error:  # noqa: BLE001  # say, a NUL byte in a variable
                os.write(tell, json.dumps([None, str(error)]).encode())
            finally:
                os._exit(127)
        for descriptor in (stdin, stdout, stderr, tell):
            os.close(descriptor)
        told = read_all(failure)
        os.close(failure)
        if told:
            os.waitpid(main, 0)
            raise OSError(*json.loads(told))
        return main

    def _wait(self, main: int) -> int:
        limit = self._task["time_limit_seconds"]
        expiry = None if limit is None else time.monotonic() + limit
        kill_at: float | None = None
        while True:
            ended, _ = reap()
            if main in ended:
                return ended[main]
            deadline = expiry if kill_at is None else kill_at
            signalled = wait_for_signal(deadline)
            now = time.monotonic()
            if kill_at is not None:
                if now >= kill_at:
                    kill_all(descendants(os.getpid()))
                    kill_at = now + _KILL_AGAIN_SECONDS
            elif signalled == signal.SIGTERM:
                kill_at = self._terminate(main, "terminated")
            elif expiry is not None and now >= expiry:
                kill_at = self._terminate(main, "time limit")

    def _terminate(self, main: int, reason: str) -> float:
        grace = float(self._task["grace_seconds"])
        self._reason = reason
        why = "asked to end" if reason == "terminated" else "out of time"
        self._log(f"{self._task['label']}: {why}: SIGTERM now, SIGKILL in {grace:g} s")
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(main, signal.SIGTERM)
        return time.monotonic() + grace

    def _not_started(self, error: OSError) -> dict[str, Any]:
        message = _message(error)
        self._log(f"{self._task['label']}: not started: {message}")
        ending = _ending("not started", _NOT_STARTED_CODES.get(error.errno or 0))
        return {**ending, "message": message}

    def _log(self, *texts: str) -> None:
        now = time.time()
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now))
        stamp = f"{moment}.{int(now * 1000) % 1000:03d}Z"
        lines = "".join(f"{stamp} {text}\n" for text in texts)
        try:
            log = _open_output(self._task["log"])
            os.write(log, lines.encode())
            os.close(log)
        except OSError:
            # The share may be full or gone. The task and its exit code matter more than this line.
            sys.stderr.write(lines)


def _ending(reason: str, exit_code: int | None) -> dict[str, Any]:
    return {"reason": reason, "exit_code": exit_code, "message": "", "ended_at": time.time()}


def _open_output(path: str) -> int:
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)


def _message(error: OSError) -> str:
    return f"{error.strerror}: {error.filename}" if error.filename else error.strerror or str(error)

"""The process that runs one task, outlives the service, and records how the task ended."""

import contextlib
import errno
import json
import os
import select
import signal
import sys
import time
import traceback
from typing import Any, NoReturn

from .cgroups import Cgroup
from .containers import ContainerError, ContainerTask
from .main_process import message_of, open_output, start_aside, start_main_process
from .processes import (
    PR_SET_CHILD_SUBREAPER,
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
from .shortage import is_full, machine_memory_kills
from .task_record import TaskRecord

_KILL_AGAIN_SECONDS = 0.5
_MOST_TOLD = 500
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
            groups = os.path.dirname(task["cgroup"] or "")
            _record_end(record, Supervisor(task, record).run())
            if groups and _has_hung_up(connection):
                with contextlib.suppress(OSError):  # tasks run on, or another service has it
                    os.rmdir(groups)
    except BaseException:  # noqa: BLE001  # nobody above this could tell of it
        traceback.print_exc()
        os._exit(1)
    os._exit(0)  # nothing is left to flush, and nobody waits for this process


def _has_hung_up(connection: int) -> bool:
    """Tell whether the service that started this supervisor is gone."""
    poll = select.poll()
    poll.register(connection, 0)
    return any(event & select.POLLHUP for _, event in poll.poll(0))


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
    return {"outcome": "failed", "message": message_of(error)}


def _record_end(record: TaskRecord, ending: dict[str, Any]) -> None:
    pause = _FIRST_RETRY_SECONDS
    while True:
        try:
            return record.add("ended", ending)
        except OSError as error:  # noqa: PERF203  # as rare as it is bad
            # As long as it is not written the task counts as running, and its end is not lost.
            sys.stderr.write(f"{message_of(error)}; next try in {pause:g} s\n")
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_RETRY_SECONDS)


class Supervisor:
    """Runs a claimed task to its end.

    Args:
        task: What to run: ``label``, ``notes``, ``title``, ``command``, ``environment``,
            ``working_directory``, ``stdout``, ``stderr``, ``log``, ``time_limit_seconds``,
            ``grace_seconds``, ``durable`` (whether it must not run again after a power cut),
            ``memory_limit_bytes``, ``read_only`` and ``writable`` (folders) and, where there can be
            one, ``cgroup``; where it wants one, ``container``.
        record: Where to say how it goes.
    """

    def __init__(self, task: dict[str, Any], record: TaskRecord) -> None:
        self._task = task
        self._record = record
        self._reason = "exited"
        self._cgroup: Cgroup | None = None
        self._container: ContainerTask | None = None
        self._limited = task["memory_limit_bytes"] is not None
        limit = task["time_limit_seconds"]
        self._expiry = None if limit is None else time.monotonic() + limit

    def run(self) -> dict[str, Any]:
        """Run the task and wait until nothing of it is left.

        Returns:
            How it ended, for the record.
        """
        prctl(PR_SET_CHILD_SUBREAPER, 1)
        label = self._task["label"]
        memory_kills = machine_memory_kills()
        try:
            if self._task["durable"]:
                self._record.make_durable()
            self._log(*self._task["notes"])
            self._choose_place()
            if self._reason != "exited":
                return self._ended(-signal.SIGTERM, "")  # while it got its image
            self._log(f"{label}: starting: {self._task['title']}")
            main = self._start()
        except OSError as error:
            self._end_all()
            return self._not_started(error)
        code = os.waitstatus_to_exitcode(self._wait(main))
        why, reason = self._explain(code, memory_kills), self._reason
        if self._container is not None and code == 0:
            code, why = self._container.keep_changes()
        self._end_all()
        self._reason = reason  # whoever asked it to end meanwhile came too late
        return self._ended(code, why)

    def _ended(self, code: int, why: str) -> dict[str, Any]:
        how = f"by signal {-code}" if code < 0 else f"with exit code {code}"
        self._log(f"{self._task['label']}: ended {how}{why and ': '}{why}")
        return {**_ending(self._reason, 128 - code if code < 0 else code), "message": why}

    def _choose_place(self) -> None:
        """Let the task run in its container, or on the host where it may."""
        wanted = self._task["container"]
        if wanted is None:
            return
        container = ContainerTask(wanted, self._task["record"], self._run_aside)
        try:
            container.find_image()
            command, environment = container.command()
        except ContainerError as error:
            if self._reason != "exited":
                return
            if wanted["required"]:
                message = f"Container image {wanted['image']}: {error}"
                raise OSError(None, message) from error
            self._log(
                f"container image {wanted['image']}: not used, since {error}; the job runs "
                "directly on the host, with what is installed there"
            )
            return
        self._log(f"container image {wanted['image']}: running in {wanted['name']}")
        self._container = container
        self._task.update(command=command, environment=environment, cgroup=None, read_only=())
        self._task["memory_limit_bytes"] = None  # the container has it
        self._task["remove_container"] = [container.remove_command, container.client_environment]

    def _run_aside(self, command: list[str], environment: dict[str, str]) -> tuple[int, str]:
        """Run a command that is none of the task's, within the task's time."""
        said = os.memfd_create("said", os.MFD_CLOEXEC)
        try:
            process = start_aside(command, environment, said)
            code = os.waitstatus_to_exitcode(self._wait(process))
            told = os.pread(said, _MOST_TOLD, max(os.fstat(said).st_size - _MOST_TOLD, 0))
        finally:
            os.close(said)
        return code, " ".join(told.decode(errors="replace").split())

    def _start(self) -> int:
        if self._task["cgroup"]:
            self._cgroup = Cgroup.make(self._task["cgroup"])
        return start_main_process(self._task, self._record, self._cgroup)

    def _wait(self, process: int) -> int:
        kill_at: float | None = None
        while True:
            ended, _ = reap()
            if process in ended:
                return ended[process]
            deadline = self._expiry if kill_at is None else kill_at
            signalled = wait_for_signal(deadline)
            now = time.monotonic()
            if kill_at is not None:
                if now >= kill_at:
                    self._kill()
                    kill_at = now + _KILL_AGAIN_SECONDS
            elif signalled == signal.SIGTERM:
                kill_at = self._terminate(process, "terminated")
            elif self._expiry is not None and now >= self._expiry:
                kill_at = self._terminate(process, "time limit")

    def _terminate(self, main: int, reason: str) -> float:
        grace = float(self._task["grace_seconds"])
        self._reason = reason
        why = "asked to end" if reason == "terminated" else "out of time"
        self._log(f"{self._task['label']}: {why}: SIGTERM now, SIGKILL in {grace:g} s")
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(main, signal.SIGTERM)
        return time.monotonic() + grace

    def _kill(self) -> None:
        if self._cgroup is not None:
            self._cgroup.kill()
        kill_all(descendants(os.getpid()))

    def _end_all(self) -> None:
        """End whatever is left of the task."""
        self._expiry = None
        if self._container is not None:
            container, self._container = self._container, None
            container.remove()
        if self._cgroup is not None:
            self._cgroup.end()
        kill_descendants()

    def _explain(self, code: int, memory_kills_before: int) -> str:
        """Say what is known of a failure beyond its exit code."""
        if code == 0 or self._reason != "exited":
            return ""
        if code in {-signal.SIGKILL, 128 + signal.SIGKILL}:
            here = self._cgroup is not None and self._cgroup.memory_kills()
            anywhere = machine_memory_kills() > memory_kills_before
            if here or (anywhere and self._limited):
                return "it was killed, since it needed more memory than a task may have"
            if anywhere:
                return "it was killed, as the machine ran out of memory"
            return "it was killed by SIGKILL, which this service did not send"
        folder = os.path.dirname(self._task["stdout"])
        if is_full(folder):
            return f"the disk of its output directory is full: make room below {folder}"
        return ""

    def _not_started(self, error: OSError) -> dict[str, Any]:
        message = message_of(error)
        self._log(f"{self._task['label']}: not started: {message}")
        ending = _ending("not started", _NOT_STARTED_CODES.get(error.errno or 0))
        return {**ending, "message": message}

    def _log(self, *texts: str) -> None:
        now = time.time()
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now))
        stamp = f"{moment}.{int(now * 1000) % 1000:03d}Z"
        lines = "".join(f"{stamp} {text}\n" for text in texts)
        try:
            log = open_output(self._task["log"])
            os.write(log, lines.encode())
            os.close(log)
        except OSError:
            # The share may be full or gone. The task and its exit code matter more than this line.
            sys.stderr.write(lines)


def _ending(reason: str, exit_code: int | None) -> dict[str, Any]:
    return {"reason": reason, "exit_code": exit_code, "message": "", "ended_at": time.time()}

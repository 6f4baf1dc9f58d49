"""The process that runs one task, outlives the service, and reports how the task ended.

Run as ``python -I -S supervisor.py TASK_DIRECTORY``. Standard library only, and nothing of this
package, since it runs isolated and has to start fast. What it reads and writes in the directory:

``task.json``
    What to run (mode 0600, since it holds secrets). Gone as soon as it has been read.
``supervisor.json``
    The claim: this task has been started and will never be started again.
``life.lock``
    Held locked as long as the supervisor lives; the kernel lets go of it however that ends.
``started.json``
    The task's main process: its id, when it began, in which boot of the machine.
``exit.json``
    How the task ended. Written last, when nothing of the task runs any more.
"""

import contextlib
import ctypes
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NoReturn

CLAIMED = 0
FAILED = 1
ALREADY_CLAIMED = 3

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_WATCHED = (signal.SIGTERM, signal.SIGCHLD)
_SWEEP_SECONDS = 0.05
_KILL_AGAIN_SECONDS = 0.5
_NOT_STARTED_CODES: dict[type[Exception], int] = {FileNotFoundError: 127, PermissionError: 126}


def main(folder: Path) -> int:
    """Claim the task in the background and say whether that worked.

    Args:
        folder: The task's directory.

    Returns:
        The exit status for whoever launched this: :data:`CLAIMED`, :data:`ALREADY_CLAIMED` or
        :data:`FAILED`.
    """
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.close(reader)
        _supervise(folder, writer)
    os.close(writer)
    answer = os.read(reader, 1)
    return answer[0] if answer else FAILED


def _supervise(folder: Path, answer: int) -> NoReturn:
    os.setsid()
    # Whatever the service ignores or handles, its tasks start with the defaults.
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, *_WATCHED):
        signal.signal(number, signal.SIG_DFL)
    # Blocked from here on, so that a SIGTERM sent right after the claim waits to be asked for.
    signal.pthread_sigmask(signal.SIG_SETMASK, _WATCHED)
    task = claim(folder)
    os.write(answer, bytes([ALREADY_CLAIMED if task is None else CLAIMED]))
    os.close(answer)
    if task is not None:
        write_record(folder / "exit.json", Supervisor(folder, task).run())
    os._exit(0)  # nothing is left to flush, and nobody waits for this process


def claim(folder: Path) -> dict[str, Any] | None:
    """Take the task, once and for all, unless somebody has.

    Args:
        folder: The task's directory.

    Returns:
        The task, or None when another supervisor has it or had it.
    """
    with (folder / "claim.lock").open("w") as claiming:
        fcntl.flock(claiming, fcntl.LOCK_EX)
        if (folder / "supervisor.json").exists():
            return None
        # Never closed: the lock lasts as long as this process. The task's processes do not get it.
        life = os.open(folder / "life.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(life, fcntl.LOCK_EX)
        text = (folder / "task.json").read_text(encoding="utf-8")
        write_record(folder / "supervisor.json", process_identity(os.getpid()))
        (folder / "task.json").unlink(missing_ok=True)
    task: dict[str, Any] = json.loads(text)
    return task


class Supervisor:
    """Runs a claimed task to its end.

    Args:
        folder: The task's directory.
        task: What ``task.json`` held.
    """

    def __init__(self, folder: Path, task: dict[str, Any]) -> None:
        self._folder = folder
        self._task = task
        self._reason = "exited"
        self._process: subprocess.Popen[bytes] | None = None

    def run(self) -> dict[str, Any]:
        """Run the task and wait until nothing of it is left.

        Returns:
            The record for ``exit.json``.
        """
        prctl(_PR_SET_CHILD_SUBREAPER, 1)
        for note in self._task["notes"]:
            self._log(note)
        try:
            self._process = self._start()
        except (OSError, subprocess.SubprocessError) as error:
            return self._not_started(error)
        status = self._wait(self._process.pid)
        kill_descendants()
        code = os.waitstatus_to_exitcode(status)
        self._process.returncode = code
        self._log(self._farewell(code))
        return _ended(self._reason, 128 - code if code < 0 else code)

    def _start(self) -> "subprocess.Popen[bytes]":
        self._log(f"{self._task['label']}: starting: {self._task['title']}")
        with (
            Path(self._task["stdout"]).open("ab") as stdout,
            Path(self._task["stderr"]).open("ab") as stderr,
        ):
            return subprocess.Popen(  # noqa: S603  # running the user's command is what this is for
                self._task["command"],
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                cwd=self._task["working_directory"],
                env=self._task["environment"],
                start_new_session=True,
                preexec_fn=self._before_exec,  # noqa: PLW1509  # this process has one thread
            )

    def _before_exec(self) -> None:
        # Should the supervisor be killed, its task must not go on with nobody watching. The record
        # is for what is left of the session then, so it is made before any of it runs.
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        write_record(self._folder / "started.json", process_identity(os.getpid()))
        signal.pthread_sigmask(signal.SIG_SETMASK, ())

    def _wait(self, main_process: int) -> int:
        limit = self._task["time_limit_seconds"]
        expiry = None if limit is None else time.monotonic() + limit
        kill_at: float | None = None
        while True:
            status = reap(main_process)
            if status is not None:
                return status
            deadline = expiry if kill_at is None else kill_at
            signalled = wait_for_signal(deadline)
            now = time.monotonic()
            if kill_at is not None:
                if now >= kill_at:
                    kill_descendants(and_reap=False)
                    kill_at = now + _KILL_AGAIN_SECONDS
            elif signalled == signal.SIGTERM:
                kill_at = self._terminate(main_process, "terminated")
            elif expiry is not None and now >= expiry:
                kill_at = self._terminate(main_process, "time limit")

    def _terminate(self, main_process: int, reason: str) -> float:
        grace = float(self._task["grace_seconds"])
        self._reason = reason
        why = "asked to end" if reason == "terminated" else "out of time"
        self._log(f"{self._task['label']}: {why}: SIGTERM now, SIGKILL in {grace:g} s")
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(main_process, signal.SIGTERM)
        return time.monotonic() + grace

    def _not_started(self, error: OSError | subprocess.SubprocessError) -> dict[str, Any]:
        message = str(error)
        if isinstance(error, OSError) and error.filename:
            message = f"{error.strerror}: {error.filename}"
        self._log(f"{self._task['label']}: not started: {message}")
        return {**_ended("not started", _NOT_STARTED_CODES.get(type(error))), "message": message}

    def _farewell(self, code: int) -> str:
        how = f"by signal {-code}" if code < 0 else f"with exit code {code}"
        return f"{self._task['label']}: ended {how}"

    def _log(self, text: str) -> None:
        moment = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
        line = f"{moment.replace('+00:00', 'Z')} {text}\n"
        try:
            with Path(self._task["log"]).open("a", encoding="utf-8") as log:
                log.write(line)
        except OSError:
            # The share may be full or gone. The task and its exit code matter more than this line.
            sys.stderr.write(line)


def _ended(reason: str, exit_code: int | None) -> dict[str, Any]:
    return {"reason": reason, "exit_code": exit_code, "message": "", "ended_at": time.time()}


def wait_for_signal(deadline: float | None) -> int | None:
    """Wait for SIGTERM or SIGCHLD, which are blocked.

    Args:
        deadline: When to give up, in the seconds of :func:`time.monotonic`; None for never.

    Returns:
        The signal's number, or None when the deadline came first.
    """
    if deadline is None:
        return signal.sigwaitinfo(_WATCHED).si_signo
    remaining = max(deadline - time.monotonic(), 0)
    # The kernel takes no more than some 292 years; a month at a time is plenty.
    caught = signal.sigtimedwait(_WATCHED, min(remaining, 30 * 86400))
    return None if caught is None else caught.si_signo


def reap(wanted: int) -> int | None:
    """Collect every child that has ended.

    Args:
        wanted: The process whose status matters.

    Returns:
        Its wait status when it was among them.
    """
    found = None
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return found
        if pid == 0:
            return found
        if pid == wanted:
            found = status


def kill_descendants(*, and_reap: bool = True) -> None:
    """Kill every process below this one, those that detached themselves included.

    Args:
        and_reap: Also collect them and go on until none is left.
    """
    while True:
        for pid in descendants(os.getpid()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if not and_reap:
            return
        reap(0)
        if not descendants(os.getpid()):
            return
        # One that was orphaned just now is a child of this process in the next round.
        wait_for_signal(time.monotonic() + _SWEEP_SECONDS)


def descendants(ancestor: int) -> list[int]:
    """Find the processes below a process.

    Args:
        ancestor: Its id.

    Returns:
        Their ids, in no special order; empty where there is no ``/proc``.
    """
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        fields = stat_fields(int(entry.name))
        if fields is not None:
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found: list[int] = []
    pending = [ancestor]
    while pending:
        below = children.get(pending.pop(), [])
        found.extend(below)
        pending.extend(below)
    return found


def stat_fields(pid: int) -> list[str] | None:
    """Read what the kernel says of a process.

    Args:
        pid: Its id.

    Returns:
        The fields of ``/proc/PID/stat`` from the third (the state) on, or None when it is gone.

    Source:
        proc_pid_stat(5): the second field may hold blanks and parentheses, so count from its end.
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return text.rpartition(")")[2].split()


def process_identity(pid: int) -> dict[str, Any]:
    """Describe a process so that it is not mistaken for a later one with the same id.

    Args:
        pid: Its id.

    Returns:
        Its id, when it began (clock ticks since the boot) and the boot.
    """
    fields = stat_fields(pid)
    return {
        "pid": pid,
        "start_time": int(fields[19]) if fields else None,
        "boot_id": boot_id(),
        "recorded_at": time.time(),
    }


def boot_id() -> str:
    """Return what tells this boot of the machine from others; empty where the kernel has none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def prctl(option: int, value: int) -> None:
    """Set an option of this process where the system knows such options.

    Args:
        option: One of the kernel's ``PR_`` numbers.
        value: The option's argument.
    """
    try:
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)
    except (OSError, AttributeError):
        return


def write_record(path: Path, record: dict[str, Any]) -> None:
    """Write a JSON file all or nothing, and onto the disk.

    Args:
        path: The file.
        record: Its content.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with temporary.open("w", encoding="utf-8") as file:
        json.dump(record, file)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))

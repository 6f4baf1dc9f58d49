"""Starting the main process of a task."""

import json
import os
import resource
import signal
from typing import Any, NoReturn

from .cgroups import Cgroup
from .processes import PR_SET_PDEATHSIG, prctl, process_identity, read_all
from .read_only import forbid_writing
from .shortage import volunteer_for_memory_kill
from .task_record import TaskRecord

_RESET_SIGNALS = (
    *(signal.SIGPIPE, signal.SIGXFSZ),
    *(signal.SIGHUP, signal.SIGINT, signal.SIGQUIT),
)


def start_main_process(task: dict[str, Any], record: TaskRecord, cgroup: Cgroup | None) -> int:
    """Start a task's command in a session of its own, inheriting nothing but its output files.

    Args:
        task: What to run.
        record: Gets the process's identity before any of the command runs.
        cgroup: The group to run it in, if there is one.

    Returns:
        Its process id.

    Raises:
        OSError: A file or the program cannot be opened, or there can be no more processes.
    """
    limit = task["memory_limit_bytes"]
    if limit and cgroup and cgroup.limit_memory(limit):
        limit = None
    files = [
        os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC),
        *(open_output(task[name]) for name in ("stdout", "stderr")),
    ]
    told, tell = os.pipe()
    supervisor = os.getpid()
    main = os.fork()
    if main == 0:
        try:
            _detach(supervisor, files)
            inside = cgroup is not None and cgroup.enter()
            path = cgroup.path if cgroup is not None and inside else None
            remove = task.get("remove_container")
            identity = process_identity(os.getpid())
            record.add("main", {**identity, "cgroup": path, "remove_container": remove})
            _forbid_writing(task)
            if limit:
                resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
            _become(task)
        except OSError as error:
            os.write(tell, json.dumps([error.errno, message_of(error)]).encode())
        except BaseException as error:  # noqa: BLE001  # say, a NUL byte in a variable
            os.write(tell, json.dumps([None, str(error)]).encode())
        finally:
            os._exit(127)
    for descriptor in (*files, tell):
        os.close(descriptor)
    failure = read_all(told)
    os.close(told)
    if failure:
        os.waitpid(main, 0)
        raise OSError(*json.loads(failure))
    return main


def start_aside(command: list[str], environment: dict[str, str], said: int) -> int:
    """Start a command that is none of a task's, in a session of its own.

    Args:
        command: The command.
        environment: Its variables.
        said: Where its standard error goes; its standard output is thrown away.

    Returns:
        Its process id.

    Raises:
        OSError: There can be no more processes.
    """
    nothing = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
    supervisor = os.getpid()
    process = os.fork()
    if process == 0:
        try:
            _detach(supervisor, [nothing, nothing, said])
            _become({"command": command, "environment": environment, "working_directory": "/"})
        except OSError as error:
            os.write(2, message_of(error).encode())
        finally:
            os._exit(127)
    os.close(nothing)
    return process


def _detach(supervisor: int, files: list[int]) -> None:
    os.setsid()
    # Should the supervisor be killed, its task must not go on with nobody watching.
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != supervisor:
        os._exit(1)  # that has happened already
    for number, descriptor in enumerate(files):
        os.dup2(descriptor, number)


def _forbid_writing(task: dict[str, Any]) -> None:
    """Make the task's read-only volumes so; the copies of others may stay writable if need be."""
    folders = dict(task["read_only"])
    if not folders:
        return
    try:
        forbid_writing(list(folders), task["writable"])
    except OSError as error:
        if any(folders.values()):
            text = "a volume cannot be mounted read-only for a job; leave out the mount option 'ro'"
            raise OSError(error.errno, f"{text} ({message_of(error)})") from error


def _become(task: dict[str, Any]) -> NoReturn:
    volunteer_for_memory_kill()
    os.chdir(task["working_directory"])
    # Python ignores the first two; the rest are ignored under nohup or in a shell's background, for
    # the service alone: a job that is asked to end by one of them must not find itself deaf.
    for number in _RESET_SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    command = task["command"]
    os.execve(command[0], command, task["environment"])  # noqa: S606  # it is the shell


def open_output(path: str) -> int:
    """Open a file to add to it.

    Args:
        path: The file.

    Raises:
        OSError: It cannot be opened.
    """
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)


def message_of(error: OSError) -> str:
    """Say what an error of the system is about, in words for a person.

    Args:
        error: The error.
    """
    return f"{error.strerror}: {error.filename}" if error.filename else error.strerror or str(error)

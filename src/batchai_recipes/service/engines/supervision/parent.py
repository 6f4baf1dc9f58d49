"""The process that supervisors are forked from: small and warm, so that a fork is all they cost.

The service talks to it through a socket on which it sends one more socket per task; the supervisor
of the task answers on that. It ends with the service. The supervisors do not, unless told so.
"""

import gc
import json
import os
import select
import signal
import socket
import time
from typing import NoReturn

from .processes import (
    PR_SET_CHILD_SUBREAPER,
    PR_SET_PDEATHSIG,
    WATCHED_SIGNALS,
    children_of,
    kill_all,
    kill_descendants,
    prctl,
    process_identity,
    reap,
)
from .shortage import machine_memory_kills
from .supervisor import failure, supervise


def main(control: int, *, outlived: bool = True) -> NoReturn:
    """Fork a supervisor for each task that arrives, until the service has gone.

    Args:
        control: The socket.
        outlived: Whether supervisors go on then; if not, they and their tasks are killed.
    """
    # What is orphaned when a supervisor is killed comes here, and not out of reach.
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    wake, alarm = os.pipe()
    for descriptor in (wake, alarm):
        os.set_blocking(descriptor, False)
    signal.set_wakeup_fd(alarm, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    os.set_inheritable(control, False)
    service = socket.socket(fileno=control)
    poll = select.poll()
    poll.register(service, select.POLLIN)
    poll.register(wake, select.POLLIN)
    supervisors: set[int] = set()
    _warm_up()
    while True:
        for descriptor, _ in poll.poll():
            if descriptor == wake:
                os.read(wake, 4096)
                _bury(supervisors)
                continue
            message, descriptors, _, _ = socket.recv_fds(service, 1, 1)
            if not message:
                if not outlived:
                    signal.pthread_sigmask(signal.SIG_BLOCK, WATCHED_SIGNALS)
                    kill_descendants()
                os._exit(0)
            for connection in descriptors:
                try:
                    supervisors.add(
                        _fork(connection, but_not=(control, wake, alarm), outlived=outlived)
                    )
                except OSError as error:  # too many processes, or too little memory
                    os.write(connection, json.dumps(failure(error)).encode())
                os.close(connection)


def _warm_up() -> None:
    """Load what supervisors need, so that none of them has to, and keep its memory shared."""
    process_identity(os.getpid())
    machine_memory_kills()
    json.loads(json.dumps({"text": "x", "number": 1.5, "list": [None]}))
    time.strftime("%Y", time.gmtime())
    gc.collect()
    gc.freeze()
    gc.disable()  # a supervisor makes next to nothing


def _fork(connection: int, *, but_not: tuple[int, ...], outlived: bool) -> int:
    parent = os.getpid()
    # Until the supervisor has its own dispositions, signals wait.
    signal.pthread_sigmask(signal.SIG_BLOCK, WATCHED_SIGNALS)
    try:
        pid = os.fork()
        if pid == 0:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for descriptor in but_not:
                os.close(descriptor)
            if not outlived:
                _end_with(parent)
            supervise(connection)
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, WATCHED_SIGNALS)
    return pid


def _end_with(parent: int) -> None:
    """Have this supervisor end its task when the parent is killed, which then cannot do so."""
    prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGTERM)  # it was killed before that


def _bury(supervisors: set[int]) -> None:
    """Collect what has ended, and kill what supervisors that were killed left behind."""
    ended, any_left = reap()
    supervisors.difference_update(ended)
    if any_left and any(os.WIFSIGNALED(status) for status in ended.values()):
        kill_all(set(children_of(os.getpid())) - supervisors)

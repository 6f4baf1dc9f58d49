"""Starting the daemons of ``mpirun`` on other nodes of its job, without ssh.

``mpirun`` starts :mod:`~batchai_recipes.service.engines.ray.mpi_agent` for each machine that it
shall reach. That program asks its own node through a socket, and this node asks the other one
through Ray. There, the daemon is a task of the job like any other: it has a supervisor, and ends
with the job at the latest.
"""

import contextlib
import json
import os
import secrets
import shutil
import socket
import struct
import sys
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Protocol

from attrs import evolve

from batchai_recipes.service.engines.engine import Ended, EngineError, Task, TaskKey, TaskStatus
from batchai_recipes.service.engines.file_end import FileEnd
from batchai_recipes.service.engines.folders import job_folders
from batchai_recipes.service.engines.gpus import DEVICES
from batchai_recipes.service.engines.ray import mpi_agent
from batchai_recipes.service.engines.ray.messages import DaemonEnd, Launch, Refusal
from batchai_recipes.service.engines.ray.mpi_variables import mpi_variables
from batchai_recipes.service.engines.ray.peers import Peer, addresses_of, at
from batchai_recipes.service.state_directory import StateDirectory

_PREFIX: Final = "daemon-"
_NOT_RUN: Final = 255
_GRACE_SECONDS: Final = 3.0
_MOST_BYTES: Final = 1 << 16
_WAIT_SECONDS: Final = 20.0


class Reach(Protocol):
    """Asks another node of the service."""

    def __call__(self, node_id: str, method: str, /, *arguments: object) -> object:
        """Have a node do something; raises whatever Ray does when it cannot be asked."""
        ...


class MpiDaemons:
    """Listens, on one node, to those that want a command to run on another node of their job.

    Only processes of a running job are heard, which the kernel tells by their ancestors, and only
    of nodes of that job.

    Args:
        node_id: This node.
        address: Its address.
        state: Where the nodes and jobs of its machine are; the same path on each machine.
        task_of: Finds the running task that a process belongs to.
        reach: Asks another node.
        ended: Called with a run when something of it on another node has ended.
    """

    def __init__(
        self,
        node_id: str,
        address: str,
        state: StateDirectory,
        *,
        task_of: Callable[[int], TaskKey | None],
        reach: Reach,
        ended: Callable[[str], None],
    ) -> None:
        self._node_id = node_id
        self._address = address
        self._nodes = state.nodes
        self._jobs = state.jobs
        self._folder = state.nodes / node_id / "mpi"
        self._task_of = task_of
        self._reach = reach
        self._ended = ended
        self._launches: dict[str, dict[str, Launch]] = {}
        self._lock = threading.Lock()
        self._listening: socket.socket | None = None
        self._busy: Counter[str] = Counter()

    def prepared(self, launch: Launch) -> Task:
        """Give a task the variables with which ``mpirun`` reaches the other nodes of its job.

        Args:
            launch: The task, as the service launches it; known until its run is forgotten.

        Returns:
            The task, with variables of Open MPI, MPICH and Intel MPI where the job is on several
            machines. What the job sets itself stays.

        Raises:
            EngineError: The command that they name cannot be made.
        """
        task, addresses = launch.task, addresses_of(launch.peers)
        if len(addresses) <= 1:
            return task
        try:
            agent = self._listen()
        except OSError as error:
            raise EngineError(f"mpirun cannot be let reach other nodes: {error}") from error
        with self._lock:
            self._launches.setdefault(launch.run, {})[task.key.name] = launch
        variables = mpi_variables(launch.peers, self._address, agent)
        return evolve(task, environment={**variables, **task.environment})

    def is_busy(self, run: str) -> bool:
        """Tell whether something of a run is on another node, on behalf of this one.

        Args:
            run: The run.
        """
        with self._lock:
            return self._busy[run] > 0

    def forget(self, run: str) -> None:
        """Forget a run that is over.

        Args:
            run: The run.
        """
        with self._lock:
            self._launches.pop(run, None)

    def close(self) -> None:
        """Hear nobody any more."""
        with self._lock:
            listening, self._listening = self._listening, None
        if listening is not None:
            with contextlib.suppress(OSError):
                listening.shutdown(socket.SHUT_RDWR)
            listening.close()

    def _listen(self) -> str:
        agent, place = self._folder / "agent", self._folder / "socket"
        with self._lock:
            if self._listening is not None:
                return str(agent)
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder.mkdir(mode=0o700, parents=True)
            agent.write_text(
                f'#!/bin/sh\nexec "{sys.executable}" -I -S "{mpi_agent.__file__}" "{place}" "$@"\n',
                encoding="utf-8",
            )
            agent.chmod(0o700)
            listening = socket.socket(socket.AF_UNIX)
            folder = os.open(self._folder, os.O_PATH | os.O_CLOEXEC)
            try:
                listening.bind(f"/proc/self/fd/{folder}/{place.name}")  # its path may be too long
            finally:
                os.close(folder)
            listening.listen(socket.SOMAXCONN)
            self._listening = listening
        threading.Thread(
            target=self._accept, args=(listening,), name="mpi-agents", daemon=True
        ).start()
        return str(agent)

    def _accept(self, listening: socket.socket) -> None:
        while True:
            try:
                agent, _ = listening.accept()
            except OSError:
                return  # closed
            threading.Thread(
                target=self._serve, args=(agent,), name="mpi-agent", daemon=True
            ).start()

    def _serve(self, agent: socket.socket) -> None:
        with agent:
            answer = self._answer(agent)
            with contextlib.suppress(OSError):  # it has gone
                agent.sendall(json.dumps(answer).encode() + b"\n")

    def _asker(self, agent: socket.socket) -> Launch | None:
        """Find the task that asks."""
        key = self._task_of(_process_of(agent))
        if key is None or key.owner != "job":
            return None
        with self._lock:
            return self._launches.get(key.owner_id, {}).get(key.name)

    def _answer(self, agent: socket.socket) -> dict[str, Any]:
        launch = self._asker(agent)
        try:
            # Whoever is refused is heard, too: it would find nobody to write to.
            with agent.makefile("r", encoding="utf-8") as lines:
                asked = json.loads(lines.readline())
            host, command = str(asked["host"]), str(asked["command"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            return {"refusal": f"this was not understood: {error!r}"}
        if launch is None:
            return {
                "refusal": "only a running job's own processes may start something on its nodes"
            }
        peers = at(host, launch.peers)
        if not peers:
            known = ", ".join(addresses_of(launch.peers))
            return {"refusal": f"{host} is none of the job's nodes, which are {known}"}
        with self._lock:
            self._busy[launch.run] += 1
        try:
            end = self._run_on(peers[0], agent, self._daemon(launch, peers, command))
        except Exception as error:  # noqa: BLE001  # whatever Ray says of a lost node
            end = DaemonEnd(_NOT_RUN, stderr=f"the node at {host} is lost: {_first_line(error)}\n")
        finally:
            with self._lock:
                self._busy[launch.run] -= 1
                if not self._busy[launch.run]:
                    del self._busy[launch.run]
            self._ended(launch.run)
        return {"code": end.code, "stdout": end.stdout, "stderr": end.stderr}

    def _run_on(self, peer: Peer, agent: socket.socket, launch: Launch) -> DaemonEnd:
        name = launch.task.key.name
        refusal = self._reach(peer.node_id, "launch", launch)
        if isinstance(refusal, Refusal):
            return DaemonEnd(_NOT_RUN, stderr=f"{refusal.message}\n")
        threading.Thread(
            target=self._end_with, args=(agent, peer, launch.run, name), daemon=True
        ).start()
        while True:
            end = self._reach(peer.node_id, "daemon_end", launch.run, name, _WAIT_SECONDS)
            if isinstance(end, DaemonEnd):
                return end

    def _end_with(self, agent: socket.socket, peer: Peer, run: str, name: str) -> None:
        """End a daemon once nobody waits for it; has no effect where that is since it has ended."""
        with contextlib.suppress(OSError):
            agent.recv(1)
        with contextlib.suppress(Exception):  # a node that is lost has ended it
            self._reach(peer.node_id, "terminate", "job", run, name)

    def _daemon(self, launch: Launch, peers: list[Peer], command: str) -> Launch:
        peer = peers[0]
        folders = job_folders(self._jobs / launch.run, (peer.node_id,))
        name = f"{_PREFIX}{secrets.token_hex(4)}"
        files = Path(folders.root) / name
        variables = {k: v for k, v in launch.task.environment.items() if k != DEVICES}
        devices = [one.devices for one in peers if one.devices]
        if len(devices) > 1:  # MPI's local ranks count on the machine, whose nodes share them
            variables[DEVICES] = ",".join(devices)
        here, there = (f"{self._nodes / each}/" for each in (self._node_id, peer.node_id))
        return evolve(
            launch,
            task=Task(
                key=TaskKey("job", launch.task.key.owner_id, name),
                node_id=peer.node_id,
                label="MPI daemon",
                command_line=command,
                environment=variables,
                working_directory=folders.temp[peer.node_id],
                directories=tuple(
                    there + path.removeprefix(here) if path.startswith(here) else path
                    for path in launch.task.directories
                ),
                stdout=f"{files}.stdout",
                stderr=f"{files}.stderr",
                log=f"{files}.log",
                grace_seconds=_GRACE_SECONDS,
            ),
        )


def is_daemon(name: str) -> bool:
    """Tell whether a task is a daemon of ``mpirun``, and none that the service launched.

    Args:
        name: The task.
    """
    return name.startswith(_PREFIX)


def end_of(status: TaskStatus | None, folder: Path, name: str) -> DaemonEnd:
    """Say how a daemon ended.

    Args:
        status: What is known of its task; None where its run is over.
        folder: The folder of its job.
        name: Its task.
    """
    stdout, stderr = (
        FileEnd.of(folder / f"{name}.{suffix}", _MOST_BYTES).content.decode(errors="replace")
        for suffix in ("stdout", "stderr")
    )
    if not isinstance(status, Ended):
        return DaemonEnd(_NOT_RUN, stdout, f"{stderr}the job has ended, or its node was lost\n")
    message = f"{status.message}\n" if status.message else ""
    code = _NOT_RUN if status.exit_code is None else status.exit_code
    return DaemonEnd(code, stdout, f"{stderr}{message}")


def _process_of(agent: socket.socket) -> int:
    told = agent.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return int(struct.unpack("3i", told)[0])


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]

"""Ports at which a job's processes meet, when all nodes share one machine.

A port is chosen before the process that listens at it starts, so it cannot be kept bound: that
process would find it in use. What can be done against two parties taking the same one is done here.
It lies below the range from which the kernel gives out ports by itself, so no connection and no
``bind`` to port 0 takes it; it is on record, so no other job of this service gets it; it is free
now; and it is drawn at random, so that services beside this one rarely draw it at the same moment.
Addresses of their own for the nodes (127.0.0.2 and so on) would not help: the frameworks listen at
all addresses of a port.
"""

import json
import random
import socket
from pathlib import Path
from typing import Final

from batchai_recipes.service.engines.engine import EngineError
from batchai_recipes.service.engines.folders import make_folder
from batchai_recipes.service.state_directory import write_private

_FILE: Final = "ports.json"
_FIRST: Final = 10_000
_LAST: Final = 65_535
_FEWEST: Final = 1_000


class JobPorts:
    """The ports of the jobs that a service runs, kept in a file in each job's folder.

    Args:
        jobs: The folder of the jobs' folders.
    """

    def __init__(self, jobs: Path) -> None:
        self._jobs = jobs

    def choose(self, job_uid: str, node_id: str, count: int) -> tuple[int, ...]:
        """Return a job's ports on a node, chosen when they are first asked for.

        Args:
            job_uid: The job.
            node_id: The node.
            count: How many.

        Raises:
            EngineError: There are not enough, or the file cannot be written.
        """
        place = self._jobs / job_uid / _FILE
        chosen = _read(place)
        if len(chosen.get(node_id, ())) != count:
            chosen[node_id] = _free_ports(count, self._taken())
            make_folder(place.parent)
            try:
                write_private(place, json.dumps(chosen))
            except OSError as error:
                raise EngineError(f"The ports of the job cannot be written: {error}") from error
        return tuple(chosen[node_id])

    def _taken(self) -> set[int]:
        files = self._jobs.glob(f"*/{_FILE}")
        return {port for file in files for ports in _read(file).values() for port in ports}


def _read(place: Path) -> dict[str, list[int]]:
    try:
        found: dict[str, list[int]] = json.loads(place.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return found


def _free_ports(count: int, taken: set[int]) -> list[int]:
    found: list[int] = []
    candidates = _candidates()
    random.shuffle(candidates)  # not for secrecy
    for port in candidates:
        if len(found) == count:
            break
        if port not in taken and _is_free(port):
            found.append(port)
    if len(found) < count:
        raise EngineError(f"The job needs {count} free ports, and only {len(found)} were found")
    return found


def _candidates() -> list[int]:
    first_of_kernel = _first_of_kernel()
    last = first_of_kernel if first_of_kernel - _FIRST >= _FEWEST else _LAST
    return list(range(_FIRST, last))


def _first_of_kernel() -> int:
    try:
        text = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii")
        return int(text.split()[0])
    except (OSError, ValueError):
        return _LAST


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError:
            return False
    return True

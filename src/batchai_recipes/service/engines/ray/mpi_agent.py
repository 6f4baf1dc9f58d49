"""What ``mpirun`` has in the place of ``ssh``: asks the node that it runs on to reach another.

``python mpi_agent.py SOCKET [OPTION...] HOST COMMAND...``. Standard library only, and a program by
itself: it starts once for each machine of a job.
"""

import json
import os
import socket
import sys
from typing import Any, NoReturn

_FAILED = 255  # what ssh says when it did not come so far as to run the command


def main(arguments: list[str]) -> int:
    """Have a command run on another node of the job, and wait for its end.

    Ending this process ends the command.

    Args:
        arguments: Where the node listens, options of a remote shell, the address of the other node,
            and the command, which a shell there runs.

    Returns:
        The exit code of the command; 255 where it was not run.
    """
    place, *words = arguments
    while words and words[0].startswith("-"):
        words.pop(0)  # the options that some give to any remote shell, as ``-x`` of ssh
    if len(words) <= 1:
        return _refuse("give the address of a node and a command")
    host, *command = words
    try:
        with socket.socket(socket.AF_UNIX) as node:
            connect_to(node, place)
            request = json.dumps({"host": host, "command": " ".join(command)})
            node.sendall(request.encode() + b"\n")
            with node.makefile("r", encoding="utf-8") as answers:
                answer = json.loads(answers.readline() or "{}")
    except (OSError, ValueError) as error:
        return _refuse(f"the node cannot be asked to reach {host}: {error}")
    return _pass_on(answer, host)


def connect_to(node: socket.socket, place: str) -> None:
    """Connect to a socket whose path may be longer than sockets permit.

    Args:
        node: What to connect.
        place: The path.

    Raises:
        OSError: Nobody listens there.
    """
    parent, _, name = place.rpartition("/")
    folder = os.open(parent, os.O_PATH | os.O_CLOEXEC)
    try:
        node.connect(f"/proc/self/fd/{folder}/{name}")
    finally:
        os.close(folder)


def _pass_on(answer: dict[str, Any], host: str) -> int:
    if "code" not in answer:
        return _refuse(answer.get("refusal") or f"the node ended before the command on {host} did")
    sys.stdout.write(answer["stdout"])
    sys.stderr.write(answer["stderr"])
    return int(answer["code"])


def _refuse(why: str) -> int:
    sys.stderr.write(f"batchai-recipes: {why}\n")
    return _FAILED


def _run() -> NoReturn:
    sys.exit(main(sys.argv[1:]))


if __name__ == "__main__":
    _run()

"""Copies of remote volumes: the tasks that bring them in and back.

The service itself talks to no other endpoint. It leaves a request, which holds the accounts' keys,
in a private file, launches ``volume_sync`` with it through the engine as it launches jobs, and
reads the result when the task has ended. So a copy outlives the service, and the next one finds it.
"""

import json
import os
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from batchai_recipes.service.engines.engine import (
    Ended,
    Engine,
    EngineError,
    MountError,
    Running,
    Task,
    TaskKey,
    TaskStatus,
)
from batchai_recipes.service.scheduling.remote_volume import RemoteVolume
from batchai_recipes.service.scheduling.volume import VolumeError
from batchai_recipes.service.state_directory import write_private

COPY_IN = "copy-in"
COPY_BACK = "copy-back"
_GRACE_SECONDS = 3600.0
"""How long the last copy back may take, however slow the network."""
_FINISH = "finish"
_LISTENING = "listening"
_ATTEMPTS = 3
# What a way to the network may need of the service's own environment.
_PASSED_ON = (
    *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"),
    *("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR", "PYTHONPATH"),
)

_Action = Literal["copy-in", "copy-back", "follow"]


def without_copies(tasks: Mapping[str, TaskStatus]) -> dict[str, TaskStatus]:
    """Leave out the tasks that copy volumes.

    Args:
        tasks: All tasks of a job or of a node.

    Example:
        >>> without_copies({"copy-in-1": Running(), "process-0": Running()})
        {'process-0': Running()}
    """
    return {
        name: status
        for name, status in tasks.items()
        if not name.startswith((f"{COPY_IN}-", f"{COPY_BACK}-"))
    }


class VolumeCopies:
    """Copies the remote volumes of one job or of one node in and back.

    Args:
        engine: Where the tasks run.
        folder: Where requests and results lie.
        owner: Whether a job's or a node's.
        owner_id: The job's uid or the node's id.
        node_id: The node that the tasks run on.
        volumes: The volumes.
        log: The execution log that is told; empty for none.
        notes: Lines for the log.
    """

    def __init__(
        self,
        engine: Engine,
        folder: Path,
        *,
        owner: Literal["job", "node"],
        owner_id: str,
        node_id: str,
        volumes: Sequence[RemoteVolume],
        log: str = "",
        notes: Sequence[str] = (),
    ) -> None:
        self._engine = engine
        self._folder = folder
        self._owner: Literal["job", "node"] = owner
        self._owner_id = owner_id
        self._node_id = node_id
        self._volumes = tuple(volumes)
        self._writable = tuple(volume for volume in volumes if not volume.read_only)
        self._log = log
        self._notes = tuple(notes)

    def are_in(self) -> bool:
        """Begin to copy in where that has not happened, and see whether it is over.

        Raises:
            VolumeError: It failed.
            EngineError: It cannot be started.
        """
        name, status, attempt = self._latest(COPY_IN)
        if isinstance(status, Running):
            return False
        if isinstance(status, Ended):
            if status.exit_code == 0:
                return True
            raise self._failure("ShareMountFailed", name, status)
        self._launch(COPY_IN, attempt, "copy-in", self._volumes)
        return False

    def follow(self) -> None:
        """Begin to copy back what is written, again and again.

        Raises:
            EngineError: It cannot be started.
        """
        _, status, attempt = self._latest(COPY_BACK)
        if self._writable and not isinstance(status, Running):
            self._launch(COPY_BACK, attempt, "follow", self._writable)

    def are_back(self) -> bool:
        """Ask for a last copy back where none has begun, and see whether it is over.

        Raises:
            VolumeError: It failed; the copies stay.
            EngineError: It cannot be started.
        """
        if not self._writable:
            return True
        name, status, attempt = self._latest(COPY_BACK)
        control = self._control(name)
        if isinstance(status, Running):
            if not (control / _FINISH).exists():
                (control / _FINISH).touch()
                # One that does not listen yet would die of the signal; it looks for the file first.
                if (control / _LISTENING).exists():
                    self._engine.terminate(TaskKey(self._owner, self._owner_id, name))
            return False
        if isinstance(status, Ended) and (control / _FINISH).exists():
            if status.exit_code == 0:
                return True
            if _result(control) or attempt > _ATTEMPTS:
                raise self._failure("CopyBackFailed", name, status)
        # None has begun, or it was killed, or ended before the job did.
        self._launch(COPY_BACK, attempt, "copy-back", self._writable)
        return False

    def stop_copying_in(self) -> bool:
        """End a copy in that still runs.

        Returns:
            Whether none runs.
        """
        name, status, _ = self._latest(COPY_IN)
        if not isinstance(status, Running):
            return True
        self._engine.terminate(TaskKey(self._owner, self._owner_id, name))
        return False

    def _latest(self, kind: str) -> tuple[str, TaskStatus | None, int]:
        """Return the last attempt: its name, what became of it, and the number of the next."""
        tasks = self._engine.tasks(self._owner, self._owner_id)
        numbers = [
            int(name.removeprefix(f"{kind}-")) for name in tasks if name.startswith(f"{kind}-")
        ]
        last = max(numbers, default=0)
        name = f"{kind}-{last}"
        return name, tasks.get(name), last + 1

    def _control(self, name: str) -> Path:
        return self._folder / self._owner_id / "tasks" / name

    def _launch(
        self, kind: str, attempt: int, action: _Action, volumes: Sequence[RemoteVolume]
    ) -> None:
        name = f"{kind}-{attempt}"
        control = self._control(name)
        request: dict[str, Any] = {
            "action": action,
            "volumes": [volume.document() for volume in volumes],
            "log": self._log,
            "notes": list(self._notes) if action == "copy-in" else [],
        }
        try:
            shutil.rmtree(control, ignore_errors=True)  # of a run before the job was queued again
            control.mkdir(parents=True)
            if action == "copy-back":
                (control / _FINISH).touch()
            write_private(control / "request.json", json.dumps(request))
            self._engine.launch(self._task(name, control))
        except (OSError, EngineError) as error:
            (control / "request.json").unlink(missing_ok=True)  # it holds keys
            if isinstance(error, MountError):
                raise
            raise EngineError(f"The volumes cannot be copied: {error}") from error

    def _task(self, name: str, control: Path) -> Task:
        program = [sys.executable, "-m", "batchai_recipes.volume_sync", str(control)]
        return Task(
            key=TaskKey(self._owner, self._owner_id, name),
            node_id=self._node_id,
            label=name,
            command_line=f"exec {shlex.join(program)}",
            environment={name: value for name, value in os.environ.items() if name in _PASSED_ON},
            working_directory=str(control),
            directories=(),
            stdout=str(control / "stdout.txt"),
            stderr=str(control / "stderr.txt"),
            log=str(control / "execution.log"),
            grace_seconds=_GRACE_SECONDS if name.startswith(COPY_BACK) else 5.0,
            is_of_service=True,
        )

    def _failure(self, code: str, name: str, status: Ended) -> VolumeError:
        message = _result(self._control(name))
        if not message:
            message = status.message or f"exit code {status.exit_code}"
            message = f"copying the volumes ended unexpectedly ({message})"
        if code == "CopyBackFailed":
            places = ", ".join(str(volume.data) for volume in self._writable)
            message += f". What the job wrote is kept, until it is deleted, in {places}"
        else:
            message += ". Mend it, then scale the cluster down and up, or submit the job again"
        return VolumeError(code, message)


def _result(control: Path) -> str:
    try:
        document = json.loads((control / "result.json").read_text(encoding="utf-8"))
        return str(document["message"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""

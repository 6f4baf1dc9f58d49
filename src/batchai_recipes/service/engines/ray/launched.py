"""What the service has launched on which node, in a file beside what else it keeps of a job."""

import json
import os
import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from batchai_recipes.service.engines.engine import EngineError, TaskStatus
from batchai_recipes.service.engines.ray.messages import Refusal

_FILE: Final = "ray.json"


class Launched:
    """The tasks of one run of a job, or of a node.

    A run has a name that no other has: what comes late of an earlier one is told from it.

    Args:
        folder: Where the file is; made when something is written.
        run: The name.
        nodes: The nodes that may have folders of the run, the master of a job first.
        tasks: The node of each task.

    Attributes:
        told: What the nodes have told of tasks, by name.
        sent: To which driver's nodes each task was sent, by name; those of the file to an earlier
            one than any.
        ending: The tasks that were asked to end.
        refused: Why a node did not start a task, by name, until that has been told.
    """

    def __init__(
        self, folder: Path, run: str, nodes: Iterable[str] = (), tasks: dict[str, str] | None = None
    ) -> None:
        self._folder = folder
        self.run = run
        self.nodes = dict.fromkeys(nodes)
        self.tasks = dict(tasks or {})
        self.told: dict[str, TaskStatus] = {}
        self.sent: dict[str, int] = {}
        self.ending: set[str] = set()
        self.refused: dict[str, Refusal] = {}

    @classmethod
    def load(cls, folder: Path) -> "Launched | None":
        """Read the file, if there is one.

        Args:
            folder: Where it is.
        """
        try:
            said = json.loads((folder / _FILE).read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError):
            return None
        return cls(folder, said["run"], said["nodes"], said["tasks"])

    @classmethod
    def begin(cls, folder: Path, owner_id: str) -> "Launched":
        """Begin a run.

        Args:
            folder: Where its file will be.
            owner_id: The job's uid.
        """
        return cls(folder, f"{owner_id}.{secrets.token_hex(4)}")

    def save(self) -> None:
        """Write the file.

        Raises:
            EngineError: It cannot be written.
        """
        text = json.dumps({"run": self.run, "nodes": list(self.nodes), "tasks": self.tasks})
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            temporary = self._folder / f".{_FILE}.{os.getpid()}"
            temporary.write_text(text, encoding="utf-8")
            temporary.replace(self._folder / _FILE)
        except OSError as error:
            raise EngineError(f"What is launched cannot be written down: {error}") from error

    def remove(self) -> None:
        """Remove the file."""
        (self._folder / _FILE).unlink(missing_ok=True)

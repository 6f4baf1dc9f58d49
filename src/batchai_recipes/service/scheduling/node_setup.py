"""The setup task of a cluster, run on each node before any job."""

from collections.abc import Iterable, Mapping
from typing import Any

from batchai_recipes.service.batchai_error import BatchAIError
from batchai_recipes.service.engines.engine import (
    Ended,
    Engine,
    Running,
    Task,
    TaskKey,
    TaskStatus,
)
from batchai_recipes.service.engines.file_end import FileEnd
from batchai_recipes.service.scheduling.job_environment import expanded_variables
from batchai_recipes.service.variables import UndefinedVariableError, expand_path

_NAME = "setup"
_TAIL_BYTES = 2000


class SetupFailedError(Exception):
    """A node's setup task failed.

    Args:
        error: What the cluster reports.
    """

    def __init__(self, error: BatchAIError) -> None:
        super().__init__(error.message)
        self.error = error


class NodeSetup:
    """Runs setup tasks.

    Args:
        engine: Where the nodes are.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def is_done(
        self, node_id: str, settings: Mapping[str, Any], secrets: Mapping[str, Any], segment: str
    ) -> bool:
        """Start the setup task of a node where that has not happened, and see whether it is over.

        Args:
            node_id: The node, prepared.
            settings: The cluster's ``setupTask``.
            secrets: Its secret part: ``{"environment": {name: value}}``.
            segment: Tells its output directory from those of other clusters.

        Returns:
            Whether it has succeeded; otherwise it runs.

        Raises:
            SetupFailedError: It failed.
            EngineError: It cannot be started.
            NotYetError: It failed, and the end of its standard error is on the way.
        """
        status = self._engine.tasks("node", node_id).get(_NAME)
        if status is None:
            self._engine.launch(self._task(node_id, settings, secrets, segment))
            return False
        if isinstance(status, Running):
            return False
        if isinstance(status, Ended) and (status.reason, status.exit_code) == ("exited", 0):
            return True
        raise SetupFailedError(self._failure(node_id, settings, secrets, segment, status))

    def _failure(
        self,
        node_id: str,
        settings: Mapping[str, Any],
        secrets: Mapping[str, Any],
        segment: str,
        status: TaskStatus,
    ) -> BatchAIError:
        cause = "it was lost when the machine restarted"
        if isinstance(status, Ended):
            cause = status.message or f"exit code {status.exit_code}"
        stderr = self._task(node_id, settings, secrets, segment).stderr
        end = self._engine.end_of_file(node_id, stderr, _TAIL_BYTES)
        tail = _text_of(end, hidden=_environment_of(secrets).values())
        return BatchAIError(
            "NodeSetupTaskFailed",
            f"The setup task failed ({cause}): the end of its standard error is here, "
            "all of it in stderr.txt below its stdOutErrPathPrefix; then scale down and up again",
            {"stderr": tail} if tail else {},
        )

    def _task(
        self, node_id: str, settings: Mapping[str, Any], secrets: Mapping[str, Any], segment: str
    ) -> Task:
        node = self._engine.node(node_id)
        known = {
            **node.environment,
            "AZ_BATCHAI_MOUNT_ROOT": node.mount_root,
            "AZ_BATCHAI_NUM_GPUS": str(node.gpu_count),
        }
        given = expanded_variables(settings.get("environmentVariables") or (), known)
        secret = _environment_of(secrets)
        prefix = _prefix(settings, known, node.mount_root)
        folder = f"{prefix}/{settings.get('stdOutErrPathSuffix') or segment}/{node_id}"
        return Task(
            key=TaskKey("node", node_id, _NAME),
            node_id=node_id,
            label="setup task",
            command_line=str(settings.get("commandLine") or ""),
            environment={**known, **given, **secret, "AZ_BATCHAI_STDOUTERR_DIR": folder},
            working_directory=folder,
            directories=(folder,),
            stdout=f"{folder}/stdout.txt",
            stderr=f"{folder}/stderr.txt",
            log=f"{folder}/execution.log",
        )


def _prefix(settings: Mapping[str, Any], known: Mapping[str, str], fallback: str) -> str:
    try:
        return expand_path(str(settings.get("stdOutErrPathPrefix") or fallback), known).rstrip("/")
    except UndefinedVariableError as error:
        message = f"The setup task was not started: {error}"
        raise SetupFailedError(BatchAIError("NodeSetupTaskFailed", message)) from error


def _environment_of(secrets: Mapping[str, Any]) -> dict[str, str]:
    environment = secrets.get("environment") or {}
    return {str(name): str(value) for name, value in environment.items()}


def _text_of(end: FileEnd, *, hidden: Iterable[str]) -> str:
    text = end.content
    for secret in filter(None, map(str.encode, hidden)):
        if not end.is_all:
            text = text[_rest_length(secret, text) :]
        text = text.replace(secret, b"***")
    return text.decode(errors="replace").strip()


def _rest_length(secret: bytes, text: bytes) -> int:
    """Return how much of a text is the rest of a secret that began before it."""
    lengths = range(len(secret) - 1, 0, -1)
    return next((length for length in lengths if text.startswith(secret[-length:])), 0)

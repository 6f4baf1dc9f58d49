"""The setup task of a cluster, run on each node before any job."""

from collections.abc import Mapping
from typing import Any

from batchai_recipes.service.batchai_error import BatchAIError
from batchai_recipes.service.engines.engine import Ended, Engine

_NAME = "setup"


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
        """
        status = self._engine.tasks("node", node_id).get(_NAME)
        if status is None:
            self._engine.launch(self._task(node_id, settings, secrets, segment))
            return False
        if not isinstance(status, Ended):
            return self._still_runs(status)
        if status.reason == "exited" and status.exit_code == 0:
            return True
        cause = status.message or f"exit code {status.exit_code}"
        raise _failure(
            f"The setup task failed ({cause}): look at stderr.txt below its stdOutErrPathPrefix, "
            "then scale the cluster down and up"
        )

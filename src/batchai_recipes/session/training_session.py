"""TrainingSession: provisions on enter, cleans up on exit, for certain."""

import os
import secrets
from collections.abc import Callable
from types import TracebackType
from typing import Final

from typing_extensions import Self

from batchai_recipes.builders.cluster import ClusterBuilder
from batchai_recipes.builders.job import JobBuilder
from batchai_recipes.connection import Connection
from batchai_recipes.errors import BatchAIRecipesError
from batchai_recipes.pacing import Pacing
from batchai_recipes.runs.job_place import JobPlace
from batchai_recipes.runs.job_run import JobRun
from batchai_recipes.session.cluster_state import ClusterState
from batchai_recipes.session.journal import Journal, JournalOwner
from batchai_recipes.session.provisioning import Provisioning, SessionNames
from batchai_recipes.session.signals import TerminationSignals
from batchai_recipes.session.undo import UndoStack, clean_up_error, logger
from batchai_recipes.settings import APPLICATION
from batchai_recipes.staging.file_share_staging import FileShareStaging
from batchai_recipes.staging.staged_manifest import StagedManifest

_NAME_BYTES: Final = 4


class TrainingSession:
    """A cluster to run jobs on, from nothing and back to nothing.

    Entering makes a resource group, the file share with what is staged, a workspace, the cluster
    and an experiment; leaving deletes what was made and only that, newest first: also when entering
    fails half way, on an exception, on Ctrl-C and on SIGTERM. A resource group or a share that was
    there before is used and left alone; a workspace, cluster or experiment of the same name is an
    error, since the session could not tell whose it is.

    Args:
        cluster: The cluster to make.
        staging: What to put on a file share first.
        connection: Where to make it; None for :meth:`Connection.default`. A connection that is
            given stays open.
        resource_group: The resource group's name; None for a new one.
        workspace: The workspace's name; None for a new one.
        experiment: The experiment's name; None for a new one.
        location: The Azure location; None for the connection's.
        keep_share: Whether the share stays when the session made it.
        ready_timeout: How long to wait for the cluster, in seconds; None for as long as it takes.
        report: Told, line by line, what happens; None for the log ``batchai_recipes.session``.
        pacing: How often to look while waiting.

    Raises:
        BatchAIRecipesError: On entering: something could not be made. What was made is deleted.
        CleanUpError: On leaving: something could not be deleted, and the block itself was fine.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from batchai_recipes import ClusterBuilder, Connection, TrainingSession
        >>> cluster = ClusterBuilder("mycluster").vm_size("STANDARD_NC6").nodes(1)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with Connection.embedded(Path(folder)) as connection:
        ...         with TrainingSession(cluster, connection=connection) as session:
        ...             state = session.cluster_state()
        >>> print(state)
        Cluster state: steady Target: 1; Allocated: 1; Idle: 1; Unusable: 0; Running: 0; \
Preparing: 0; Leaving: 0
    """

    def __init__(
        self,
        cluster: ClusterBuilder,
        *,
        staging: FileShareStaging | None = None,
        connection: Connection | None = None,
        resource_group: str | None = None,
        workspace: str | None = None,
        experiment: str | None = None,
        location: str | None = None,
        keep_share: bool = False,
        ready_timeout: float | None = None,
        report: Callable[[str], None] | None = None,
        pacing: Pacing | None = None,
    ) -> None:
        name = f"{APPLICATION}-{secrets.token_hex(_NAME_BYTES)}"
        self.names = SessionNames(
            resource_group=resource_group or name,
            workspace=workspace or name,
            experiment=experiment or name,
            cluster=cluster.name,
        )
        self._location = location
        self._name = name
        self._cluster = cluster
        self._staging = staging
        self._given_connection = connection
        self._keep_share = keep_share
        self._ready_timeout = ready_timeout
        self._report = report or logger.info
        self._pacing = pacing or Pacing()
        self._signals = TerminationSignals(self._report)
        self._undo = UndoStack(self._report)
        self._provisioning: Provisioning | None = None
        self._own_connection: Connection | None = None
        self._journal: Journal | None = None
        self._staged: StagedManifest | None = None

    def __enter__(self) -> Self:
        if self._provisioning is not None:
            raise BatchAIRecipesError("This session was entered before: make a new TrainingSession")
        self._signals.start()
        try:
            self._provision()
        except BaseException as error:
            self._clean_up(error)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._clean_up(error)

    @property
    def staged(self) -> StagedManifest | None:
        """What the session's staging put on its share, or found there unchanged.

        None for a session without a staging, and before it is entered.
        """
        return self._staged

    def submit(self, job: JobBuilder) -> JobRun:
        """Create a job on the session's cluster; it starts as soon as its nodes are free.

        Args:
            job: The job to create.

        Returns:
            The submitted job, to wait for, stream from and download from.

        Raises:
            ConfigurationError: The job does not fit the cluster.
            RequestError: The service refused it, for one because a job of the name exists.
        """
        provisioning = self._active()
        parameters = job.build(
            cluster_id=provisioning.cluster_id,
            mounts=self._cluster.mounts,
            storage=provisioning.connection.storage,
        )
        provisioning.create_job(job.name, parameters)
        names = self.names
        return JobRun(
            provisioning.connection,
            JobPlace(names.resource_group, names.workspace, names.experiment, job.name),
            report=self._report,
            pacing=self._pacing,
        )

    def cluster_state(self) -> ClusterState:
        """Ask the service for the present state of the session's cluster.

        Raises:
            RequestError: The service did not answer.
        """
        return ClusterState.of(self._active().cluster())

    def _provision(self) -> None:
        connection = self._given_connection or Connection.default()
        if connection is not self._given_connection:
            self._own_connection = connection
        self._journal = Journal.begin(connection.journals, self._owner(connection))
        provisioning = Provisioning(connection, self.names, self._undo, self._journal, self._report)
        self._provisioning = provisioning
        location = self._location or connection.settings.location
        provisioning.create_resource_group(location)
        if self._staging:
            self._staged = provisioning.stage(self._staging, keep=self._keep_share)
        provisioning.create_workspace(location)
        provisioning.create_cluster(
            self._cluster.build(connection.storage, admin=connection.settings.admin)
        )
        provisioning.wait_for_cluster(self._pacing, self._ready_timeout)
        provisioning.create_experiment()

    def _clean_up(self, error: BaseException | None) -> None:
        try:
            with self._signals.held():
                failures = self._undo.unwind()
                if self._journal:
                    self._journal.close()
                if self._own_connection:
                    self._own_connection.close()
        finally:
            self._signals.stop()
        if failures and error is None:
            raise clean_up_error(failures)
        for failure in failures:
            self._report(f"Could not be deleted: {failure}")

    def _owner(self, connection: Connection) -> JournalOwner:
        state_dir = connection.state_dir
        return JournalOwner(
            session=self._name,
            endpoint=connection.settings.endpoint,
            state_dir=str(state_dir) if state_dir else None,
            pid=os.getpid(),
        )

    def _active(self) -> Provisioning:
        if self._provisioning is None:
            raise BatchAIRecipesError(
                "This session has not been entered: write `with TrainingSession(...) as session:`"
            )
        return self._provisioning

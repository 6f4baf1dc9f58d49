"""TrainingSession: provisions on enter, cleans up on exit, for certain."""

import os
import secrets
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Final

from typing_extensions import Self

from batchai_recipes.builders.cluster import ClusterBuilder
from batchai_recipes.builders.job import JobBuilder
from batchai_recipes.connection import Connection
from batchai_recipes.errors import BatchAIRecipesError
from batchai_recipes.notebook import table
from batchai_recipes.pacing import Pacing
from batchai_recipes.profiles import configured
from batchai_recipes.session.blueprint import Blueprint
from batchai_recipes.session.clean_up_policy import CleanUp, CleanUpPolicy
from batchai_recipes.session.cluster_limits import ClusterLimits
from batchai_recipes.session.journal import Journal, JournalOwner
from batchai_recipes.session.lease_holder import LeaseHolder
from batchai_recipes.session.live_session import LiveSession
from batchai_recipes.session.redaction import Redaction, secrets_in
from batchai_recipes.session.service_clock import ServiceClock
from batchai_recipes.session.session_clusters import SessionClusters
from batchai_recipes.session.session_jobs import SessionJobs
from batchai_recipes.session.session_names import SessionNames
from batchai_recipes.session.session_plan import Planner, SessionPlan
from batchai_recipes.session.signals import TerminationSignals
from batchai_recipes.session.undo import clean_up_error, logger
from batchai_recipes.settings import APPLICATION
from batchai_recipes.staging.file_share_staging import FileShareStaging
from batchai_recipes.staging.staged_manifest import StagedManifest
from batchai_recipes.tracing import span

_ID_BYTES: Final = 4


class TrainingSession(SessionJobs):
    """Clusters to run jobs on, from nothing and back to nothing.

    Entering makes a resource group, a workspace, the file share with what is staged, the clusters
    and an experiment; leaving deletes what was made and only that, newest first: also when entering
    fails half way, on an exception, on Ctrl-C and on SIGTERM. A resource group or a share that was
    there before is used and left alone; a workspace, cluster or experiment of the same name is an
    error unless `use_existing` says that it may be used, and then it is left alone too.

    Args:
        clusters: The clusters to make, at least one.
        staging: What to put on a file share first, or on several.
        connection: Where to make them; None for :meth:`Connection.default`. A connection that is
            given stays open.
        resource_group: The resource group's name; None for that of the connection's settings
            (``AZURE_DEFAULTS_GROUP``), else a new one.
        workspace: The workspace's name; None for a new one.
        experiment: The experiment's name; None for a new one.
        location: The Azure location; None for the connection's.
        use_existing: Whether a workspace, clusters and an experiment that exist under these names
            are used as they are, and never deleted; the jobs that the session makes in them are. A
            cluster that exists needs no more than its name: ``ClusterBuilder("mycluster")``.
        clean_up: When to delete what was made: ``always``, ``on_success`` (not after an exception
            or an interruption) or ``never``. What stays is reported, with the command to delete it.
        keep_outputs: Whether the share stays when the session made it, with the outputs on it.
        idle_timeout: After how many seconds without a job a cluster that the session made is
            deleted while the session goes on; None for never.
        max_lifetime: After how many seconds such a cluster is deleted in any case, its jobs
            terminated; None for never.
        ready_timeout: How long to wait for each cluster, in seconds; None for as long as it takes.
        report: Told, line by line, what happens; None for the log ``batchai_recipes.session``.
        pacing: How often to look while waiting.

    Raises:
        ConfigurationError: A name or an option is not allowed, or no cluster is given.
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
        *clusters: ClusterBuilder,
        staging: FileShareStaging | Sequence[FileShareStaging] | None = None,
        connection: Connection | None = None,
        resource_group: str | None = None,
        workspace: str | None = None,
        experiment: str | None = None,
        location: str | None = None,
        use_existing: bool = False,
        clean_up: CleanUp = "always",
        keep_outputs: bool = False,
        idle_timeout: float | None = None,
        max_lifetime: float | None = None,
        ready_timeout: float | None = None,
        report: Callable[[str], None] | None = None,
        pacing: Pacing | None = None,
    ) -> None:
        super().__init__(pacing or Pacing())
        self.id = f"{APPLICATION}-{secrets.token_hex(_ID_BYTES)}"
        self._clusters = SessionClusters(clusters)
        self.names = SessionNames(
            resource_group or _default_group(connection) or self.id,
            workspace or self.id,
            experiment or self.id,
            self._clusters.names,
        )
        self._policy = CleanUpPolicy(clean_up, keep_outputs)
        self._limits = ClusterLimits(idle_timeout, max_lifetime)
        self._stagings = _as_tuple(staging)
        self._given_connection = connection
        self._location = location
        self._use_existing = use_existing
        self._ready_timeout = ready_timeout
        self._report = report or logger.info
        self._closing = ExitStack()
        self._traced = ExitStack()
        self._signals = TerminationSignals(self._report)
        self._live: LiveSession | None = None
        self._left = False

    def __enter__(self) -> Self:
        if self._live is not None:
            raise BatchAIRecipesError("This session was entered before: make a new TrainingSession")
        self._signals.start()
        try:
            self._traced.enter_context(span("TrainingSession", session=self.id))
            self._live = self._begin()
            self._live.provision(self._ready_timeout)
        except BaseException as error:
            self._end(error)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._end(error)

    def __repr__(self) -> str:
        return f"TrainingSession({self.id!r}, {self._standing})"

    def _repr_html_(self) -> str:
        """Return its names as a table, for notebooks."""
        names = self.names
        rows = {
            "state": self._standing,
            "resource group": names.resource_group,
            "workspace": names.workspace,
            "experiment": names.experiment,
            "clusters": names.clusters,
            "file share": ", ".join(staging.share for staging in self._stagings) or None,
        }
        return table(f"TrainingSession {self.id}", rows)

    @property
    def _standing(self) -> str:
        if self._live is None:
            return "not entered"
        return "left" if self._left else "entered"

    @property
    def staged(self) -> StagedManifest | None:
        """What the session's staging put on its share, or found there unchanged.

        Of the first share, where there are several. None for a session without a staging, and
        before it is entered.
        """
        return self._live.staged if self._live else None

    def plan(self, *jobs: JobBuilder, cluster: str | None = None) -> SessionPlan:
        """Show what the session would make, the very bodies of its requests, and make nothing.

        Args:
            jobs: Jobs that would be submitted.
            cluster: The name of the cluster to run them on; None for the only one.

        Returns:
            The plan, to print or to look through; secrets are left out of it.

        Raises:
            ConfigurationError: A cluster or a job is not complete, or they do not fit each other.
            ServiceStartError: No connection was given and the embedded service did not start.
        """
        with ExitStack() as closing:
            blueprint, _ = self._prepare(self._connection(closing))
            placed = [(job, self._clusters.pick(cluster)) for job in jobs]
            known = [blueprint.settings, *self._clusters, jobs, self._stagings]
            planner = Planner(blueprint, Redaction(secrets_in(known)))
            return planner.plan(self._stagings, self._clusters, placed)

    def _begin(self) -> LiveSession:
        connection = self._connection(self._closing)
        blueprint, lease = self._prepare(connection)
        journal = Journal.begin(connection.journals, self._owner(connection))
        return LiveSession(
            connection,
            blueprint,
            self._clusters,
            journal,
            self._report,
            lease=lease,
            stagings=self._stagings,
            pacing=self._pacing,
            limits=self._limits,
            use_existing=self._use_existing,
        )

    def _end(self, error: BaseException | None) -> None:
        failures: tuple[Exception, ...] = ()
        try:
            with self._signals.held(), self._traced:
                if self._live:
                    failures = self._live.end(self._policy, succeeded=error is None)
                self._closing.close()
        finally:
            self._left = True
            self._signals.stop()
        if failures and error is None:
            raise clean_up_error(failures)
        for failure in failures:
            self._report(f"Could not be deleted: {failure}")

    def _connection(self, closing: ExitStack) -> Connection:
        return self._given_connection or closing.enter_context(Connection.default())

    def _prepare(self, connection: Connection) -> tuple[Blueprint, LeaseHolder]:
        settings = connection.settings
        shares = tuple(f"{connection.storage.name}/{one.share}" for one in self._stagings)
        lease = LeaseHolder(connection, self.id, shares, ServiceClock(self._pacing.monotonic))
        location = self._location or settings.location
        return Blueprint(self.id, self.names, settings, location, lease.tags), lease

    def _owner(self, connection: Connection) -> JournalOwner:
        state_dir = connection.state_dir
        return JournalOwner(
            session=self.id,
            endpoint=connection.settings.endpoint,
            state_dir=str(state_dir) if state_dir else None,
            pid=os.getpid(),
        )

    def _active(self) -> LiveSession:
        if self._live is None:
            raise BatchAIRecipesError(
                "This session has not been entered: write `with TrainingSession(...) as session:`"
            )
        return self._live


def _default_group(connection: Connection | None) -> str | None:
    """Return the resource group that the connection's settings name, if they do."""
    if connection is not None:
        return connection.settings.resource_group
    chosen = configured()
    return chosen.settings.resource_group if chosen and chosen.settings else None


def _as_tuple(
    staging: FileShareStaging | Sequence[FileShareStaging] | None,
) -> tuple[FileShareStaging, ...]:
    if isinstance(staging, FileShareStaging):
        return (staging,)
    return tuple(staging or ())

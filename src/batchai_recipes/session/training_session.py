"""TrainingSession: provisions on enter, cleans up on exit, for certain."""

import os
import secrets
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Final

from typing_extensions import Self

from batchai_recipes.builders.cluster import ClusterBuilder
from batchai_recipes.builders.cluster_limits import ClusterLimits
from batchai_recipes.builders.job import JobBuilder
from batchai_recipes.connection import Connection
from batchai_recipes.errors import BatchAIRecipesError
from batchai_recipes.pacing import Pacing
from batchai_recipes.session.attachment import Attachment
from batchai_recipes.session.beginning import Beginning
from batchai_recipes.session.clean_up_policy import CleanUp, CleanUpPolicy
from batchai_recipes.session.hand_over import checked_deadline
from batchai_recipes.session.listener import Listener, make_seen
from batchai_recipes.session.live_session import LiveSession
from batchai_recipes.session.redaction import Redaction, secrets_in
from batchai_recipes.session.service_clock import ServiceClock
from batchai_recipes.session.session_clusters import SessionClusters
from batchai_recipes.session.session_jobs import SessionJobs
from batchai_recipes.session.session_names import SessionNames
from batchai_recipes.session.session_options import SessionOptions, default_group
from batchai_recipes.session.session_plan import Planner, SessionPlan
from batchai_recipes.session.signals import TerminationSignals
from batchai_recipes.session.undo import clean_up_error
from batchai_recipes.settings import APPLICATION
from batchai_recipes.staging.file_share_staging import FileShareStaging
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
            deleted, also while detached, unless the cluster says otherwise; None for never.
        max_lifetime: After how many seconds such a cluster is deleted in any case, its jobs
            terminated; None for never.
        ready_timeout: How long to wait for each cluster, in seconds; None for as long as it takes.
        run_folder: The folder in which the session leaves what explains it; None for one of its
            own under the state directory.
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
        run_folder: str | os.PathLike[str] | None = None,
        report: Callable[[str], None] | None = None,
        pacing: Pacing | None = None,
    ) -> None:
        name = f"{APPLICATION}-{secrets.token_hex(_ID_BYTES)}"
        known = SessionClusters(clusters)
        group = resource_group or default_group(connection) or name
        options = SessionOptions(
            id=name,
            names=SessionNames(group, workspace or name, experiment or name, known.names),
            clusters=known,
            policy=CleanUpPolicy(clean_up, keep_outputs),
            limits=ClusterLimits(idle_timeout, max_lifetime),
            stagings=staging,
            location=location,
            use_existing=use_existing,
            ready_timeout=ready_timeout,
            run_folder=Path(run_folder).absolute() if run_folder else None,
        )
        self._prepare(options, connection, report, pacing)

    def _prepare(
        self,
        options: SessionOptions,
        connection: Connection | None,
        report: Callable[[str], None] | None,
        pacing: Pacing | None,
        *,
        attaches: bool = False,
    ) -> None:
        super().__init__(options, pacing or Pacing())
        self._given_connection = connection
        self._listener = Listener(report)
        self._closing = ExitStack()
        self._traced = ExitStack()
        self._signals = TerminationSignals(self._listener.report)
        self._attaches = attaches

    def __enter__(self) -> Self:
        if self._live is not None:
            raise BatchAIRecipesError("This session was entered before: make a new TrainingSession")
        self._process = os.getpid()
        self._signals.start()
        try:
            self._traced.enter_context(span("TrainingSession", session=self.id))
            if self._attaches:
                self._take_up()
            else:
                self._live = self._beginning(self._closing).new()
                self._live.provision(self._options.ready_timeout)
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
        options = self._options
        with ExitStack() as closing:
            blueprint = self._beginning(closing).blueprint
            placed = [(job, options.clusters.pick(cluster)) for job in jobs]
            known = [blueprint.settings, *options.clusters, jobs, options.stagings]
            planner = Planner(blueprint, Redaction(secrets_in(known)))
            return planner.plan(options.stagings, options.clusters, placed)

    def detach(self, deadline: datetime | timedelta) -> None:
        """Hand the session over to the service: nothing is deleted when the block ends.

        Jobs go on, and the service keeps the limits of clusters. :meth:`attach` takes the session
        up again, in any process. At the deadline the service deletes what it made; at an endpoint
        that is not this project's, ``batchai-recipes reap`` does.

        Args:
            deadline: Until when the session stays, or for how long from now.

        Raises:
            ConfigurationError: The deadline is a time without a time zone, or no time to come.
            RequestError: The service refused or did not answer; the session is not detached.
        """
        self._unended().detach(checked_deadline(deadline))

    @classmethod
    def attach(
        cls,
        id: str,  # noqa: A002 - the word of :attr:`id`
        *,
        connection: Connection | None = None,
        clean_up: CleanUp = "always",
        keep_outputs: bool = False,
        report: Callable[[str], None] | None = None,
        pacing: Pacing | None = None,
    ) -> "TrainingSession":
        """Take a session up again that was detached, or left something on purpose.

        Entering what is returned takes it over, with its clusters, their limits and :meth:`runs`;
        leaving it deletes what the session made, as that of a new one does. That works on any
        machine, by the tags of the workspace that the session made. One that used an existing
        workspace is known only where it began, in the same state directory. Its run folder and
        :attr:`staged` are not known elsewhere either.

        Entering raises ConfigurationError where there is no such session, or a process has it.

        Args:
            id: The session's id.
            connection: Where it is; None for :meth:`Connection.default`.
            clean_up: When to delete what was made, as for a new session.
            keep_outputs: Whether the share stays, as for a new session.
            report: Told, line by line, what happens, as for a new session.
            pacing: How often to look while waiting.

        Raises:
            ConfigurationError: The id cannot be one, or an option is not allowed.
        """
        session = cls.__new__(cls)
        options = Attachment.options_of(id, CleanUpPolicy(clean_up, keep_outputs))
        session._prepare(options, connection, report, pacing, attaches=True)  # noqa: SLF001 - own
        return session

    def _take_up(self) -> None:
        connection = self._connected(self._closing)
        clock = ServiceClock(self._pacing.monotonic)
        attachment = Attachment.of(self.id, connection, clock, self._listener)
        try:
            self._options = attachment.options(self._options)
            beginning = Beginning(self._options, connection, self._listener, self._pacing, clock)
            self._live = beginning.attached(attachment)
        except BaseException:
            attachment.give_back(connection, clock, self._listener)
            raise
        self._live.take_up()

    def _end(self, error: BaseException | None) -> None:
        if self._process != os.getpid():
            return  # this one was forked in the block: the session is its parent's, and goes on
        failures: tuple[Exception, ...] = ()
        try:
            with self._signals.held(), self._traced:
                if self._live:
                    failures = self._live.end(self._options.policy, error)
                self._closing.close()
        finally:
            self._left = True
            self._signals.stop()
        if failures and error is None:
            raise clean_up_error(failures)
        if failures and error is not None:
            make_seen(clean_up_error(failures), error)

    def _beginning(self, closing: ExitStack) -> Beginning:
        connection = self._connected(closing)
        return Beginning(self._options, connection, self._listener, self._pacing)

    def _connected(self, closing: ExitStack) -> Connection:
        return self._given_connection or closing.enter_context(self._connect())

    def _connect(self) -> Connection:
        return Connection.default()

    def _active(self) -> LiveSession:
        if self._live is None:
            raise BatchAIRecipesError(
                "This session has not been entered: write `with TrainingSession(...) as session:`"
            )
        return self._live

    def _unended(self) -> LiveSession:
        live = self._active()
        if self._left:
            raise BatchAIRecipesError(
                "This session has ended: do it inside of its `with` block, or make a new session"
            )
        return live

"""Beginning: what a session does before the first request, whether it is new or taken up again."""

import os
from collections.abc import Callable

from batchai_recipes.concurrency import concurrency_of
from batchai_recipes.connection import Connection
from batchai_recipes.errors import ConfigurationError
from batchai_recipes.pacing import Pacing
from batchai_recipes.session.blueprint import Blueprint
from batchai_recipes.session.journal import AbandonedJournal, Journal, JournalOwner, taken
from batchai_recipes.session.keeper import wait_for_keeper
from batchai_recipes.session.lease_holder import LeaseHolder
from batchai_recipes.session.live_session import LiveSession
from batchai_recipes.session.run_folder import RunFolder
from batchai_recipes.session.service_clock import ServiceClock
from batchai_recipes.session.session_options import SessionOptions
from batchai_recipes.settings import default_state_dir, runs_of


class Beginning:
    """Prepares a session on a connection.

    Args:
        options: What was asked.
        connection: Where.
        report: Told, line by line, what happens.
        pacing: How often to look while waiting.
    """

    def __init__(
        self,
        options: SessionOptions,
        connection: Connection,
        report: Callable[[str], None],
        pacing: Pacing,
    ) -> None:
        self._options = options
        self._connection = connection
        self._report = report
        self._pacing = pacing
        shares = tuple(f"{connection.storage.name}/{share}" for share in options.shares)
        clock = ServiceClock(pacing.monotonic)
        self._lease = LeaseHolder(connection, options.id, shares, clock, pacing)
        self.blueprint = Blueprint(
            options.id,
            options.names,
            connection.settings,
            options.location or connection.settings.location,
            self._lease.tags,
            self._lease.group_tags,
        )

    def new(self) -> LiveSession:
        """Begin the journal and the run folder of a new session.

        Raises:
            ConfigurationError: One of them cannot be written.
        """
        options = self._options
        folder = self._folder()
        for cluster in options.clusters:
            folder.asked("cluster", cluster)
        for staging in options.stagings:
            folder.asked("staging", staging)
        journal = Journal.begin(self._connection.journals, self._owner(folder))
        return self._live(journal, folder)

    def attached(self) -> LiveSession:
        """Take over the journal and the run folder of a session that has no process any more.

        Raises:
            ConfigurationError: There is no such session, or a process has it.
        """
        journals, session = self._connection.journals, self._options.id
        abandoned = taken(journals, session)
        if abandoned is None:
            raise ConfigurationError(
                f"Session {session} cannot be taken up: another process has it, or it has ended"
            )
        journal = abandoned.resume()
        concurrency_of(self._connection).aside(wait_for_keeper, journals, session)
        return self._live(journal, self._folder(), abandoned)

    def _live(
        self, journal: Journal, folder: RunFolder, abandoned: AbandonedJournal | None = None
    ) -> LiveSession:
        options = self._options
        return LiveSession(
            self._connection,
            self.blueprint,
            options.clusters,
            journal,
            folder,
            lease=self._lease,
            stagings=options.stagings,
            mounted=options.mounted,
            pacing=self._pacing,
            limits=options.limits,
            use_existing=options.use_existing,
            deadline=abandoned.deadline if abandoned else None,
        )

    def _folder(self) -> RunFolder:
        options, connection = self._options, self._connection
        runs = runs_of(connection.state_dir or default_state_dir())
        folder = RunFolder(options.run_folder or runs / options.id, self._report)
        folder.protect([connection.settings, *options.clusters, *options.stagings])
        folder.asked("session", options)
        folder.versions(connection.settings.endpoint, embedded=connection.state_dir is not None)
        return folder

    def _owner(self, folder: RunFolder) -> JournalOwner:
        names, state_dir = self._options.names, self._connection.state_dir
        return JournalOwner(
            session=self._options.id,
            endpoint=self._connection.settings.endpoint,
            state_dir=str(state_dir) if state_dir else None,
            pid=os.getpid(),
            names={
                "resource_group": names.resource_group,
                "workspace": names.workspace,
                "experiment": names.experiment,
                "clusters": list(names.clusters),
                "shares": [staging.share for staging in self._options.stagings],
                "run_folder": str(folder.path),
            },
        )

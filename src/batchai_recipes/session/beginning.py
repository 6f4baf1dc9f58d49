"""Beginning: what a session does before the first request, whether it is new or taken up again."""

import os
from datetime import datetime

from attrs import asdict

from batchai_recipes.concurrency import concurrency_of
from batchai_recipes.connection import Connection
from batchai_recipes.pacing import Pacing
from batchai_recipes.session.attachment import Attachment
from batchai_recipes.session.blueprint import Blueprint
from batchai_recipes.session.journal import Journal, JournalOwner
from batchai_recipes.session.keeper import wait_for_keeper
from batchai_recipes.session.lease_holder import LeaseHolder
from batchai_recipes.session.listener import Listener
from batchai_recipes.session.live_session import LiveSession
from batchai_recipes.session.made import Made
from batchai_recipes.session.run_folder import RunFolder
from batchai_recipes.session.service_clock import ServiceClock
from batchai_recipes.session.session_options import SessionOptions
from batchai_recipes.settings import default_state_dir, runs_of


class Beginning:
    """Prepares a session on a connection.

    Args:
        options: What was asked.
        connection: Where.
        listener: Told, line by line, what happens.
        pacing: How often to look while waiting.
        clock: The service's clock; None for one that its answers tell.
    """

    def __init__(
        self,
        options: SessionOptions,
        connection: Connection,
        listener: Listener,
        pacing: Pacing,
        clock: ServiceClock | None = None,
    ) -> None:
        self._options = options
        self._connection = connection
        self._listener = listener
        self._pacing = pacing
        shares = tuple(f"{connection.storage.name}/{share}" for share in options.shares)
        clock = clock or ServiceClock(pacing.monotonic)
        self._lease = LeaseHolder(
            connection,
            options.id,
            shares,
            clock,
            pacing,
            experiment=options.names.experiment,
            limits=options.cluster_limits,
        )
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
        folder = self._folder(new=True)
        for cluster in options.clusters:
            folder.asked("cluster", cluster)
        for staging in options.stagings:
            folder.asked("staging", staging)
        journal = Journal.begin(self._connection.journals, self._owner(folder))
        return self._live(journal, folder)

    def attached(self, attachment: Attachment) -> LiveSession:
        """Go on with the journal and the run folder of a session that is taken up, or begin them.

        Args:
            attachment: The session.

        Raises:
            ConfigurationError: One of them cannot be written.
        """
        folder = self._folder(new=False)
        abandoned, deadline = attachment.abandoned, attachment.deadline
        kept = abandoned.kept if abandoned else ()
        if abandoned:
            journal = abandoned.resume()
            # It has gone when it has seen that.
            journals = self._connection.journals
            aside = concurrency_of(self._connection).aside
            aside(wait_for_keeper, journals, attachment.session)
        else:
            journal = Journal.begin(self._connection.journals, self._owner(folder))
        attachment.resume(journal)
        if attachment.is_kept:
            kept = kept or journal.made
        return self._live(journal, folder, deadline, kept)

    def _live(
        self,
        journal: Journal,
        folder: RunFolder,
        deadline: datetime | None = None,
        kept: tuple[Made, ...] = (),
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
            limits=options.cluster_limits,
            use_existing=options.use_existing,
            deadline=deadline,
            kept=kept,
        )

    def _folder(self, *, new: bool) -> RunFolder:
        options, connection = self._options, self._connection
        runs = runs_of(connection.state_dir or default_state_dir())
        folder = RunFolder(
            options.run_folder or runs / options.id,
            self._listener.report,
            self._listener.warn,
            new=new,
        )
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
                "limits": {
                    name: asdict(limits) for name, limits in self._options.cluster_limits.items()
                },
            },
        )

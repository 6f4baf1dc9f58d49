"""Attachment: a session that was detached, or left something, and that this process takes up."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from attrs import evolve, frozen

from batchai_recipes.builders.cluster import ClusterBuilder
from batchai_recipes.builders.cluster_limits import ClusterLimits
from batchai_recipes.connection import Connection
from batchai_recipes.errors import ConfigurationError
from batchai_recipes.names import checked_resource_name
from batchai_recipes.refusals import explained
from batchai_recipes.session.clean_up_policy import CleanUpPolicy
from batchai_recipes.session.departure import Departure
from batchai_recipes.session.joint_use import label_of
from batchai_recipes.session.journal import AbandonedJournal, Journal, peek, taken
from batchai_recipes.session.lease import this_process
from batchai_recipes.session.listener import Listener
from batchai_recipes.session.made import Made
from batchai_recipes.session.recorded_session import RecordedSession, SessionRecords
from batchai_recipes.session.service_clock import ServiceClock
from batchai_recipes.session.session_clusters import SessionClusters
from batchai_recipes.session.session_names import SessionNames
from batchai_recipes.session.session_options import SessionOptions
from batchai_recipes.staging.file_share_staging import FileShareStaging


@frozen
class Attachment:
    """What is known of a session that is taken up.

    The service knows the sessions that made their workspace, for any machine. One that used an
    existing workspace is known by its journal alone, on the machine that it began on.

    Args:
        session: The session's id.
        abandoned: Its journal on this machine; None where there is none.
        recorded: What the service says of it; None for what the journal alone knows.
    """

    session: str
    abandoned: AbandonedJournal | None
    recorded: RecordedSession | None

    @classmethod
    def of(
        cls, session: str, connection: Connection, clock: ServiceClock, listener: Listener
    ) -> "Attachment":
        """Take a session that no process has.

        Args:
            session: Its id.
            connection: Where it is.
            clock: The service's clock.
            listener: Told what could not be done.

        Raises:
            ConfigurationError: There is no such session, or a process has it.
            RequestError: The service refused or did not answer.
        """
        journals = connection.journals
        abandoned = taken(journals, session)
        if abandoned is None and peek(journals, session):
            raise ConfigurationError(
                f"Session {session} cannot be taken up: another process has it, on this machine"
            )
        owner = this_process(abandoned.pid) if abandoned else ""
        try:
            recorded = SessionRecords(connection, clock, listener).take(session, owner=owner)
            found = cls(session, abandoned, recorded)
            found._check(connection, clock)
        except BaseException:
            if abandoned:
                abandoned.close()
            raise
        return found

    def give_back(self, connection: Connection, clock: ServiceClock, listener: Listener) -> None:
        """Leave a session that cannot be taken up as it was.

        Args:
            connection: Where it is.
            clock: The service's clock.
            listener: Told what could not be done.
        """
        if self.recorded:
            records = SessionRecords(connection, clock, listener)
            records.give_back(self.recorded.names.workspace_place, self.recorded.lease)

    @staticmethod
    def options_of(session: str, policy: CleanUpPolicy) -> SessionOptions:
        """Return the options of a session of which no more than its id is known yet.

        Args:
            session: Its id.
            policy: What to delete when it ends.

        Raises:
            ConfigurationError: No session has such an id.
        """
        _check_id(session)
        return SessionOptions(
            id=session,
            names=SessionNames(session, session, session, ()),
            clusters=SessionClusters((), may_be_none=True),
            policy=policy,
            limits=ClusterLimits(),
            stagings=(),
            location=None,
            use_existing=True,
            ready_timeout=None,
            run_folder=None,
        )

    def options(self, asked: SessionOptions) -> SessionOptions:
        """Return the options of the session as it is found.

        Args:
            asked: What was asked when taking it up.
        """
        known = self._journal_names
        if self.recorded:
            names, shares = self.recorded.names, self.recorded.shares
            limits = self.recorded.lease.limits
        else:
            names = SessionNames(
                known["resource_group"], known["workspace"], known["experiment"], known["clusters"]
            )
            shares = tuple(known["shares"])
            limits = {name: ClusterLimits(**one) for name, one in known.get("limits", {}).items()}
        folder = known.get("run_folder")
        return evolve(
            asked,
            names=names,
            clusters=_clusters(names, limits),
            stagings=tuple(map(FileShareStaging, shares)),
            run_folder=Path(folder) if folder else None,
        )

    def resume(self, journal: Journal) -> None:
        """Bring a journal up to what there is of the session.

        Args:
            journal: The session's journal, or one that was begun for it here.
        """
        if self.recorded is None:
            return
        there = {_key(made) for made in self.recorded.made}
        for made in journal.made:
            if _key(made) not in there:
                journal.gone(made)
        known = {_key(made) for made in journal.made}
        for made in reversed(self.recorded.made):
            if _key(made) not in known:
                journal.about_to_make(made)

    def _has_its_workspace(self, connection: Connection, clock: ServiceClock) -> bool:
        """Tell whether the workspace that it used beside others is there, if it did."""
        made = self.abandoned.made if self.abandoned else ()
        departure = Departure(self.session, connection, clock)
        with explained(f"look for the workspace of session {self.session}"):
            read = [departure.workspace(m.names).read() for m in made if m.kind == "workspace"]
        return all(labels and label_of(self.session) in labels.values for labels in read)

    @property
    def deadline(self) -> datetime | None:
        """When it ends; None for a session that was not detached until a time."""
        if self.recorded and self.recorded.lease.detached:
            return self.recorded.lease.expires
        return self.abandoned.deadline if self.abandoned else None

    @property
    def is_kept(self) -> bool:
        """Whether the service knows that it was left on purpose, for good."""
        return self.recorded is not None and self.recorded.lease.expires is None

    @property
    def _journal_names(self) -> dict[str, Any]:
        return self.abandoned.owner.names if self.abandoned else {}

    def _check(self, connection: Connection, clock: ServiceClock) -> None:
        if self.recorded is not None:
            return
        if self.abandoned is None or not self._journal_names:
            raise ConfigurationError(
                f"There is no session {self.session!r} to take up at {connection.settings.endpoint}"
                f" or in {connection.journals}: it has ended, or used an existing workspace and is "
                f"known only on the machine where it began"
            )
        if not self._has_its_workspace(connection, clock):
            raise ConfigurationError(
                f"Session {self.session} cannot be taken up: its workspace is gone, so it has ended"
            )


def _check_id(session: str) -> None:
    try:
        checked_resource_name("session", session)
    except ConfigurationError as error:
        raise ConfigurationError(
            f"{session!r} is not the id of a session: it is what `session.id` told, or `run "
            f"--detach` printed, such as batchai-recipes-1a2b3c4d"
        ) from error


def _clusters(names: SessionNames, limits: Mapping[str, ClusterLimits]) -> SessionClusters:
    """Return the clusters of a session; those with limits may be gone, which is to be told."""
    given = {name.casefold(): limit for name, limit in limits.items()}
    called = {name.casefold(): name for name in (*limits, *names.clusters)}
    return SessionClusters(
        (
            ClusterBuilder(name, limits=given.get(key, ClusterLimits()))
            for key, name in called.items()
        ),
        may_be_none=True,
    )


def _key(made: Made) -> tuple[str, ...]:
    return (made.kind, *(name.casefold() for name in made.names))

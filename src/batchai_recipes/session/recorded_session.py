"""RecordedSession: what the service itself knows of a session that no process has."""

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from attrs import evolve, frozen

from batchai_recipes.connection import Connection
from batchai_recipes.errors import ConfigurationError, RequestError
from batchai_recipes.refusals import explained, status_of
from batchai_recipes.session.condition import StateRead, only_as_read, unless_changed
from batchai_recipes.session.joint_things import JointFileShare, JointResourceGroup
from batchai_recipes.session.joint_use import uses
from batchai_recipes.session.lease import LEASE, Lease, this_process
from batchai_recipes.session.listener import Listener
from batchai_recipes.session.made import Made
from batchai_recipes.session.service_clock import ServiceClock
from batchai_recipes.session.session_names import SessionNames
from batchai_recipes.session.workspace_notes import InnerKind, inner_labels

if TYPE_CHECKING:
    from azure.mgmt.batchai.models import Cluster, Experiment, Job, Workspace

# Of those that change something at the same time one always succeeds.
_TRIES: Final = 20


@frozen
class RecordedSession:
    """What there is of a session by the tags of its workspace, and by what is in that.

    Args:
        names: What everything is called.
        shares: The file shares that it uses, of the connection's account.
        made: What it made, newest first.
        lease: Its lease.
    """

    names: SessionNames
    shares: tuple[str, ...]
    made: tuple[Made, ...]
    lease: Lease


@frozen
class SessionRecords:
    """Finds sessions at the service.

    Args:
        connection: Where to look: all of its subscription.
        clock: The service's clock; told by its answers.
        listener: Told what could not be done.
    """

    connection: Connection
    clock: ServiceClock
    listener: Listener

    def take(self, session: str, *, owner: str = "") -> RecordedSession | None:
        """Take a session that no process has: its lease is this process's from now on.

        Args:
            session: Its id.
            owner: A process that is known to be gone, whose lease may still run.

        Returns:
            The session; None where no workspace is tagged with it.

        Raises:
            ConfigurationError: A process has it.
            RequestError: The service refused or did not answer.
        """
        with explained(f"look for session {session}"):
            place = self._workspace_of(session)
            if place is None:
                return None
            lease = self._taken(place, session, owner)
        try:
            with explained(f"look for session {session}"):
                return self._read(place, lease)
        except BaseException:
            self.give_back(place, lease)
            raise

    def give_back(self, place: tuple[str, str], lease: Lease) -> None:
        """Leave a session that was taken and cannot be taken up as it was.

        Args:
            place: The names that lead to its workspace.
            lease: The lease that it had before.
        """
        try:
            with explained(f"leave session {lease.session} as it was"):
                self._write_back(place, lease)
        except RequestError as error:
            self.listener.warn(
                f"{error}. The service takes it for dead in {LEASE.total_seconds() / 60:g} "
                f"minutes: take it up again before that"
            )

    def _write_back(self, place: tuple[str, str], lease: Lease) -> None:
        for _ in range(_TRIES):
            if self._written_back(place, lease):
                return
        raise RequestError(
            f"Failed to leave session {lease.session} as it was: others change the tags of "
            f"workspace {place[-1]} all the time"
        )

    def _written_back(self, place: tuple[str, str], lease: Lease) -> bool:
        """Write a lease where this process has the session; tell whether nothing came in between.

        What others note in the tags meanwhile stays, and so does a lease that is theirs by now.
        """
        from azure.core.exceptions import ResourceNotFoundError  # noqa: PLC0415 - on first use
        from azure.mgmt.batchai import models  # noqa: PLC0415 - loaded on first use

        workspaces = self.connection.batchai.workspaces
        state = StateRead(self.clock)
        try:
            tags = workspaces.get(*place, raw_response_hook=state.note).tags
        except ResourceNotFoundError:
            return True
        present = Lease.from_tags(tags)
        if present is None or (present.session, present.owner) != (lease.session, this_process()):
            return True
        as_it_was = models.WorkspaceUpdateParameters(tags=lease.written_over(tags))
        return unless_changed(
            lambda: workspaces.update(*place, as_it_was, raw_request_hook=only_as_read(state.etag))
        )

    def _workspace_of(self, session: str) -> tuple[str, str] | None:
        pages = self.connection.batchai.workspaces.list(raw_response_hook=self.clock.note)
        # The package's annotation names the page in place of the item, here and below.
        workspaces: Iterable[Workspace] = pages  # type: ignore[assignment]
        for workspace in workspaces:
            lease = Lease.from_tags(workspace.tags)
            if lease and lease.session == session:
                # .../resourceGroups/GROUP/providers/Microsoft.BatchAI/workspaces/NAME
                return str(workspace.id).split("/")[4], str(workspace.name)
        return None

    def _taken(self, place: tuple[str, str], session: str, owner: str) -> Lease:
        from azure.core.exceptions import HttpResponseError  # noqa: PLC0415 - on first use
        from azure.mgmt.batchai import models  # noqa: PLC0415 - loaded on first use

        workspaces = self.connection.batchai.workspaces
        state = StateRead(self.clock)
        known = workspaces.get(*place, raw_response_hook=state.note)
        lease = Lease.from_tags(known.tags)
        now = self.clock.now()
        if lease is None or lease.session != session:
            raise ConfigurationError(f"Session {session} has ended meanwhile")
        free = lease.detached or lease.expires is None or lease.has_run_out(now)
        if not free and lease.owner != owner:
            raise ConfigurationError(
                f"Session {session} cannot be taken up: another process has it, {lease.owner} "
                f"(HOST/PROCESS), at least until {lease.expires}"
            )
        mine = evolve(lease, expires=now + LEASE, owner=this_process(), detached=False)
        tags = models.WorkspaceUpdateParameters(tags=mine.written_over(known.tags))
        try:
            workspaces.update(*place, tags, raw_request_hook=only_as_read(state.etag))
        except HttpResponseError as error:
            if status_of(error) == HTTPStatus.PRECONDITION_FAILED:
                raise ConfigurationError(
                    f"Session {session} cannot be taken up: another process takes it up just now"
                ) from error
            raise
        return lease

    def _read(self, place: tuple[str, str], lease: Lease) -> RecordedSession:
        group, workspace = place
        batchai, session = self.connection.batchai, lease.session
        clusters: list[Cluster] = list(
            batchai.clusters.list_by_workspace(*place)  # type: ignore[arg-type]
        )
        experiments: list[Experiment] = list(
            batchai.experiments.list_by_workspace(*place)  # type: ignore[arg-type]
        )
        made: list[Made] = []
        labels = JointResourceGroup(self.connection, group, self.clock).read()
        if labels and _is_of(session, labels.values):
            made.append(Made("resource group", (group,)))
        made.append(Made("workspace", place))
        shares = self._shares(lease)
        for share in shares:
            noted = JointFileShare(self.connection, share).read()
            if noted and _is_of(session, noted.values):
                made.append(Made("file share", (share,)))
        tags = batchai.workspaces.get(*place).tags
        clusters = [one for one in clusters if _may_be_of(session, "cluster", one.name, tags)]
        made += [Made("cluster", (*place, str(one.name))) for one in clusters]
        experiments = [
            one for one in experiments if _may_be_of(session, "experiment", one.name, tags)
        ]
        for experiment in experiments:
            name = str(experiment.name)
            made.append(Made("experiment", (*place, name)))
            jobs: list[Job] = list(
                batchai.jobs.list_by_experiment(*place, name)  # type: ignore[arg-type]
            )
            jobs.sort(key=lambda job: str(job.creation_time))
            made += [Made("job", (*place, name, str(job.name))) for job in jobs]
        names = [str(one.name) for one in experiments]
        experiment_name = lease.experiment or next(iter(names), session)
        return RecordedSession(
            SessionNames(
                group, workspace, experiment_name, tuple(str(one.name) for one in clusters)
            ),
            shares,
            tuple(reversed(made)),
            lease,
        )

    def _shares(self, lease: Lease) -> tuple[str, ...]:
        places = (one.partition("/") for one in lease.shares)
        own = self.connection.storage.name
        return tuple(share for account, _, share in places if account == own)


def _may_be_of(session: str, kind: InnerKind, name: object, tags: Mapping[str, str] | None) -> bool:
    """Tell whether something in a workspace is not only of other sessions, which use it too."""
    users = {use.session for use in uses(inner_labels(kind, str(name), tags))}
    return not users or session in users


def _is_of(session: str, labels: Mapping[str, str]) -> bool:
    return session in {use.session for use in uses(labels)}

"""Sessions of any machine whose lease has run out, found through the service."""

from collections.abc import Callable, Iterable, Iterator
from http import HTTPStatus
from typing import TYPE_CHECKING

from attrs import frozen

from batchai_recipes.connection import Connection
from batchai_recipes.refusals import explained
from batchai_recipes.session.lease import SHARE_METADATA, Lease
from batchai_recipes.session.made import Made
from batchai_recipes.session.other_users import other_user
from batchai_recipes.session.service_clock import ServiceClock
from batchai_recipes.staging.file_shares import shares_of

if TYPE_CHECKING:
    from azure.core.pipeline import PipelineResponse
    from azure.core.rest import HttpRequest, HttpResponse
    from azure.mgmt.batchai.models import Workspace


@frozen
class LapsedSession:
    """A session that has not renewed its lease for so long that it must be gone.

    Args:
        lease: Its last lease.
        made: What it left, newest first.
    """

    lease: Lease
    made: tuple[Made, ...]


def lapsed_sessions(
    connection: Connection, clock: ServiceClock, known: Iterable[str]
) -> list[LapsedSession]:
    """Find the sessions whose lease has run out.

    Args:
        connection: Where to look: all of its subscription.
        clock: The service's clock; told by its answers.
        known: Sessions to leave alone: those that live on this machine, or whose journal it has.

    Raises:
        RequestError: The service refused or did not answer.
    """
    leases: dict[str, Lease] = {}
    made: dict[str, list[Made]] = {}
    skipped = frozenset(known)
    for one, lease in (*_workspaces(connection, clock), *_groups(connection, clock)):
        if lease.session not in skipped and lease.has_run_out(clock.now()):
            leases.setdefault(lease.session, lease)
            made.setdefault(lease.session, []).append(one)
            if one.kind == "workspace":
                made[lease.session] += _shares(connection, lease)
    found = [LapsedSession(leases[session], tuple(made[session])) for session in sorted(leases)]
    return [one for one in found if not _lives_elsewhere(one, connection, clock)]


def delete_lapsed(
    session: LapsedSession,
    made: Made,
    connection: Connection,
    clock: ServiceClock,
    report: Callable[[str], None],
) -> None:
    """Delete one thing of a session whose lease has run out, unless it turns out to live.

    Args:
        session: The session.
        made: What to delete.
        connection: Where it is.
        clock: The service's clock.
        report: Told what is done.

    Raises:
        RequestError: The service refused or did not answer.
    """
    user = other_user(made, session.lease.session, session.made, connection, clock)
    if user:
        report(f"Left {made}: {user} uses it")
    elif made.kind == "workspace":
        _delete_workspace(session, made, connection, clock, report)
    else:
        report(f"Deleting {made}")
        made.delete(connection)


def _delete_workspace(
    session: LapsedSession,
    made: Made,
    connection: Connection,
    clock: ServiceClock,
    report: Callable[[str], None],
) -> None:
    """Delete a workspace only as it is now: a lease that is renewed meanwhile forbids it."""
    from azure.core.exceptions import (  # noqa: PLC0415 - loaded on first use
        HttpResponseError,
        ResourceNotFoundError,
    )

    etags: list[str] = []

    def note(response: "PipelineResponse[HttpRequest, HttpResponse]") -> None:
        clock.note(response)
        etags.extend(filter(None, [response.http_response.headers.get("ETag")]))

    workspaces = connection.batchai.workspaces
    with explained(f"delete {made}"):
        try:
            workspace = workspaces.get(*made.names, raw_response_hook=note)
            lease = Lease.from_tags(workspace.tags)
            if lease is None or not lease.has_run_out(clock.now()):
                report(f"Left {made}: session {session.lease.session} lives")
                return
            report(f"Deleting {made}")
            condition = {"If-Match": etags[0]} if etags else {}
            workspaces.begin_delete(*made.names, headers=condition).wait()
        except ResourceNotFoundError:
            return
        except HttpResponseError as error:
            if error.status_code != HTTPStatus.PRECONDITION_FAILED:
                raise
            report(f"Left {made}: session {session.lease.session} lives")


def _workspaces(connection: Connection, clock: ServiceClock) -> Iterator[tuple[Made, Lease]]:
    with explained("list the workspaces"):
        pages = connection.batchai.workspaces.list(raw_response_hook=clock.note)
        # The package's annotation names the page in place of the item.
        workspaces: list[Workspace] = list(pages)  # type: ignore[arg-type]
    for workspace in workspaces:
        lease = Lease.from_tags(workspace.tags)
        if lease:
            # .../resourceGroups/GROUP/providers/Microsoft.BatchAI/workspaces/NAME
            group = str(workspace.id).split("/")[4]
            yield Made("workspace", (group, str(workspace.name))), lease


def _groups(connection: Connection, clock: ServiceClock) -> Iterator[tuple[Made, Lease]]:
    with explained("list the resource groups"):
        groups = list(connection.resources.resource_groups.list(raw_response_hook=clock.note))
    for group in groups:
        lease = Lease.from_tags(group.tags)
        if lease:
            yield Made("resource group", (str(group.name),)), lease


def _shares(connection: Connection, lease: Lease) -> list[Made]:
    """Return the shares that a session made, if they are of the connection's account."""
    return [
        Made("file share", (share,))
        for account, _, share in (one.partition("/") for one in lease.shares)
        if account == connection.storage.name and _is_of(lease.session, share, connection)
    ]


def _is_of(session: str, share: str, connection: Connection) -> bool:
    with explained(f"look at file share {share}"):
        metadata = shares_of(connection).metadata(share)
    return bool((metadata or {}).get(SHARE_METADATA) == session)


def _lives_elsewhere(session: LapsedSession, connection: Connection, clock: ServiceClock) -> bool:
    """Tell whether all that is left is a resource group that others, or its session, still use.

    The lease on a resource group is not renewed: it counts for as long as nothing is in the group.
    """
    (*others, last) = session.made
    if others or last.kind != "resource group":
        return False
    return other_user(last, session.lease.session, session.made, connection, clock) is not None

"""Sessions of any machine whose lease has run out, found through the service."""

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from attrs import frozen

from batchai_recipes.connection import Connection
from batchai_recipes.refusals import explained
from batchai_recipes.session.departure import Departure
from batchai_recipes.session.joint_things import JointFileShare, JointResourceGroup
from batchai_recipes.session.joint_use import Use, uses
from batchai_recipes.session.lease import OWNER_TAG, Lease
from batchai_recipes.session.made import Made
from batchai_recipes.session.service_clock import ServiceClock
from batchai_recipes.session.workspace_notes import inner_uses, workspace_uses

if TYPE_CHECKING:
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
    return [one for one in found if not _is_in_use(one, connection, clock)]


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
    report(f"Deleting {made}")
    departure = Departure(session.lease.session, connection, clock, lapsed=True)
    other = departure.delete(made, session.made)
    if other:
        report(f"Left {made}: {other}")


def _workspaces(connection: Connection, clock: ServiceClock) -> Iterator[tuple[Made, Lease]]:
    """Give the workspaces that sessions use, and before each what they have made or use in it."""
    with explained("list the workspaces"):
        pages = connection.batchai.workspaces.list(raw_response_hook=clock.note)
        # The package's annotation names the page in place of the item.
        workspaces: list[Workspace] = list(pages)  # type: ignore[arg-type]
    for workspace in workspaces:
        # .../resourceGroups/GROUP/providers/Microsoft.BatchAI/workspaces/NAME
        place = (str(workspace.id).split("/")[4], str(workspace.name))
        lease = Lease.from_tags(workspace.tags)

        def lease_of(use: Use, known: Lease | None = lease) -> Lease:
            if known and known.session == use.session:
                return known.until(use.until)
            return Lease(use.session, use.until, owner="somebody")

        for kind, name, use in inner_uses(workspace.tags):
            yield Made(kind, (*place, name)), lease_of(use)
        for use in workspace_uses(workspace.tags):
            yield Made("workspace", place), lease_of(use)


def _groups(connection: Connection, clock: ServiceClock) -> Iterator[tuple[Made, Lease]]:
    with explained("list the resource groups"):
        groups = list(connection.resources.resource_groups.list(raw_response_hook=clock.note))
    for group in groups:
        owner = (group.tags or {}).get(OWNER_TAG, "somebody")
        for use in uses(group.tags):
            yield (
                Made("resource group", (str(group.name),)),
                Lease(use.session, use.until, owner=owner),
            )


def _shares(connection: Connection, lease: Lease) -> list[Made]:
    """Return the shares that a session made or joined, if they are of the connection's account."""
    shares = [
        share
        for account, _, share in (one.partition("/") for one in lease.shares)
        if account == connection.storage.name
    ]
    with explained("look for the file shares of sessions"):
        read = [(share, JointFileShare(connection, share).read()) for share in shares]
    return [
        Made("file share", (share,))
        for share, labels in read
        if labels and lease.session in {use.session for use in uses(labels.values)}
    ]


def _is_in_use(session: LapsedSession, connection: Connection, clock: ServiceClock) -> bool:
    """Tell whether all that is left is a resource group with workspaces of somebody else in it."""
    (*others, last) = session.made
    if others or last.kind != "resource group":
        return False
    with explained(f"look who uses {last}"):
        return JointResourceGroup(connection, last.names[0], clock).other_user() is not None

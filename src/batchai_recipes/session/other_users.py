"""Who else uses what a session is about to delete: nobody's resources may go with it."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from batchai_recipes.connection import Connection
from batchai_recipes.refusals import explained
from batchai_recipes.session.lease import Lease
from batchai_recipes.session.made import Made
from batchai_recipes.session.service_clock import ServiceClock

if TYPE_CHECKING:
    from azure.mgmt.batchai.models import Workspace


def other_user(
    made: Made, session: str, own: Iterable[Made], connection: Connection, clock: ServiceClock
) -> str | None:
    """Say who else uses something.

    A resource group is used as long as a workspace of somebody else is in it, a file share as long
    as a session that lives has staged to it.

    Args:
        made: What is about to be deleted.
        session: The id of the session that made it.
        own: Everything that this session has made.
        connection: Where it is.
        clock: The service's clock.

    Returns:
        The user, in words; None for nobody.

    Raises:
        RequestError: The service refused or did not answer.
    """
    from azure.core.exceptions import ResourceNotFoundError  # noqa: PLC0415 - on first use

    with explained(f"look who else uses {made}"):
        try:
            if made.kind == "resource group":
                return _workspace_in(made.names[0], own, connection)
            if made.kind == "file share":
                share = f"{connection.storage.name}/{made.names[-1]}"
                return _session_with(share, session, connection, clock)
        except ResourceNotFoundError:
            return None
    return None


def _workspace_in(group: str, own: Iterable[Made], connection: Connection) -> str | None:
    mine = {one.names[-1].casefold() for one in own if one.kind == "workspace"}
    pages = connection.batchai.workspaces.list_by_resource_group(group)
    # The package's annotation names the page in place of the item.
    workspaces: Iterable[Workspace] = pages  # type: ignore[assignment]
    names = (str(workspace.name) for workspace in workspaces)
    return next((f"workspace {name}" for name in names if name.casefold() not in mine), None)


def _session_with(
    share: str, session: str, connection: Connection, clock: ServiceClock
) -> str | None:
    pages = connection.batchai.workspaces.list(raw_response_hook=clock.note)
    workspaces: Iterable[Workspace] = pages  # type: ignore[assignment]
    leases = filter(None, (Lease.from_tags(workspace.tags) for workspace in workspaces))
    others = [one for one in leases if one.session != session and share in one.shares]
    lives = (one for one in others if not one.has_run_out(clock.now()))
    return next((f"session {one.session}" for one in lives), None)

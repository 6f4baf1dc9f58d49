"""LeaseHolder: keeps a session's lease on the service from running out while the session lives."""

from datetime import datetime

from batchai_recipes.connection import Connection
from batchai_recipes.refusals import explained
from batchai_recipes.session.lease import LEASE, Lease
from batchai_recipes.session.made import Made
from batchai_recipes.session.service_clock import ServiceClock


class LeaseHolder:
    """Gives and renews the lease of one session.

    Args:
        connection: Where the session is.
        session: Its id.
        shares: The file shares that it stages to, each as ``ACCOUNT/SHARE``.
        clock: The service's clock.
    """

    def __init__(
        self, connection: Connection, session: str, shares: tuple[str, ...], clock: ServiceClock
    ) -> None:
        self._connection = connection
        self.clock = clock
        self._lease = Lease(session, None, shares)

    def tags(self) -> dict[str, str]:
        """Return the tags of what is made now."""
        return self._lease.until(self.clock.now() + LEASE).tags()

    def renew(self, made: tuple[Made, ...]) -> None:
        """Let the lease run from now on.

        Args:
            made: What the session has made; of it, the workspace has the lease.

        Raises:
            RequestError: The service refused or did not answer.
        """
        # The workspace's is what counts: nobody deletes a resource group that has a live one in it.
        self._write([one for one in made if one.kind == "workspace"], self.clock.now() + LEASE)

    def hand_over(self, made: tuple[Made, ...], until: datetime | None) -> None:
        """Let the lease end at a time without anybody renewing it.

        Args:
            made: What stays.
            until: When it ends, by the service's clock; None for never.

        Raises:
            RequestError: The service refused or did not answer.
        """
        self._write([one for one in made if one.kind in {"workspace", "resource group"}], until)

    def _write(self, made: list[Made], until: datetime | None) -> None:
        from azure.mgmt.batchai import models  # noqa: PLC0415 - loaded on first use

        lease = self._lease.until(until).tags()
        workspaces = self._connection.batchai.workspaces
        groups = self._connection.resources.resource_groups
        for one in made:
            with explained(f"renew the lease of {one}"):
                if one.kind == "workspace":
                    group, name = one.names
                    known = workspaces.get(group, name, raw_response_hook=self.clock.note)
                    tags = {**(known.tags or {}), **lease}
                    parameters = models.WorkspaceUpdateParameters(tags=tags)
                    workspaces.update(group, name, parameters)
                else:
                    (group,) = one.names
                    there = groups.get(group)
                    whole = {"location": there.location, "tags": {**(there.tags or {}), **lease}}
                    groups.create_or_update(group, whole)

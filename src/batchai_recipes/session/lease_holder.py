"""LeaseHolder: keeps a session's lease on the service from running out while the session lives."""

from collections.abc import Mapping
from datetime import datetime

from batchai_recipes.builders.cluster_limits import ClusterLimits
from batchai_recipes.connection import Connection
from batchai_recipes.errors import BatchAIRecipesError
from batchai_recipes.pacing import Pacing
from batchai_recipes.refusals import explained
from batchai_recipes.session.departure import Departure
from batchai_recipes.session.joint_use import Use
from batchai_recipes.session.lease import LEASE, OWNER_TAG, SESSION_TAG, Lease
from batchai_recipes.session.made import Made
from batchai_recipes.session.service_clock import ServiceClock


class LeaseHolder:
    """Gives and renews the lease of one session.

    Args:
        connection: Where the session is.
        session: Its id.
        shares: The file shares that it stages to, each as ``ACCOUNT/SHARE``.
        clock: The service's clock.
        pacing: How often to try again while others change what they use too.
        experiment: The session's experiment.
        limits: How long clusters may stay, by their names.
    """

    def __init__(
        self,
        connection: Connection,
        session: str,
        shares: tuple[str, ...],
        clock: ServiceClock,
        pacing: Pacing,
        *,
        experiment: str = "",
        limits: Mapping[str, ClusterLimits] | None = None,
    ) -> None:
        self._connection = connection
        self.clock = clock
        self._lease = Lease(session, None, shares, experiment=experiment, limits=dict(limits or {}))
        self._departure = Departure(session, connection, clock, pacing)

    def tags(self) -> dict[str, str]:
        """Return the tags of what is made now."""
        return self._lease.until(self.clock.now() + LEASE).tags()

    def group_tags(self) -> dict[str, str]:
        """Return the tags of a resource group that is made now."""
        lease = self.tags()
        use = Use(self._lease.session, self.clock.now() + LEASE)
        return {name: lease[name] for name in (SESSION_TAG, OWNER_TAG)} | use.entry()

    def renew(self, made: tuple[Made, ...]) -> None:
        """Let the lease run from now on.

        Args:
            made: What the session has made; of it, the workspace has the lease, and what several
                sessions may use has an entry for each.

        Raises:
            RequestError: The service refused or did not answer.
        """
        self._write(made, self._lease.until(self.clock.now() + LEASE))

    def hand_over(self, made: tuple[Made, ...], until: datetime | None) -> None:
        """Let the lease end at a time without anybody renewing it.

        Args:
            made: What stays.
            until: When it ends, by the service's clock; None for never.

        Raises:
            RequestError: The service refused or did not answer.
        """
        self._write(made, self._lease.until(until, detached=True))

    def _write(self, made: tuple[Made, ...], lease: Lease) -> None:
        failures: list[BatchAIRecipesError] = []
        for one in made:
            try:
                self._write_one(one, lease)
            except BatchAIRecipesError as error:  # noqa: PERF203 - each by itself
                failures.append(error)
        if failures:
            raise failures[0]

    def _write_one(self, made: Made, lease: Lease) -> None:
        joint = self._departure.joint_use(made)
        if joint:
            with explained(f"renew the lease of {made}"):
                joint.renew(lease.expires)
        elif made.kind == "workspace":
            self._write_tags(made, lease)

    def _write_tags(self, workspace: Made, lease: Lease) -> None:
        from azure.mgmt.batchai import models  # noqa: PLC0415 - loaded on first use

        workspaces = self._connection.batchai.workspaces
        group, name = workspace.names
        with explained(f"renew the lease of {workspace}"):
            known = workspaces.get(group, name, raw_response_hook=self.clock.note)
            tags = lease.written_over(known.tags)
            workspaces.update(group, name, models.WorkspaceUpdateParameters(tags=tags))

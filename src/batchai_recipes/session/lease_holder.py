"""LeaseHolder: keeps a session's lease on the service from running out while the session lives."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final

from attrs import evolve

from batchai_recipes.builders.cluster_limits import ClusterLimits
from batchai_recipes.connection import Connection
from batchai_recipes.errors import BatchAIRecipesError, RequestError
from batchai_recipes.pacing import Pacing
from batchai_recipes.refusals import explained
from batchai_recipes.session.departure import Departure
from batchai_recipes.session.joint_use import Use, label_of
from batchai_recipes.session.lease import LEASE, OWNER_TAG, SESSION_TAG, Lease
from batchai_recipes.session.made import Made
from batchai_recipes.session.service_clock import ServiceClock

_TRIES: Final = 10


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
        self.clock = clock
        self._lease = Lease(session, None, shares, experiment=experiment, limits=dict(limits or {}))
        self._departure = Departure(session, connection, clock, pacing)

    def add_shares(self, shares: Iterable[str]) -> None:
        """Name further file shares that the session uses, with the next renewal.

        Args:
            shares: The shares, each as ``ACCOUNT/SHARE``.
        """
        self._lease = evolve(self._lease, shares=(*self._lease.shares, *shares))

    def tags(self) -> dict[str, str]:
        """Return the tags of a workspace that is made now."""
        until = self.clock.now() + LEASE
        return self._lease.until(until).tags() | Use(self._lease.session, until).entry()

    def group_tags(self) -> dict[str, str]:
        """Return the tags of a resource group that is made now."""
        tags = self.tags()
        names = (SESSION_TAG, OWNER_TAG, label_of(self._lease.session))
        return {name: tags[name] for name in names}

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
        with explained(f"renew the lease of {made}"):
            if made.kind == "workspace":
                self._write_tags(made, lease)
                return
            joint = self._departure.joint_use(made)
            if joint:
                joint.renew(lease.expires)

    def _write_tags(self, made: Made, lease: Lease) -> None:
        """Write that the session uses a workspace, and its lease unless another session's is there.

        So whoever goes on using a workspace has the lease when the session that made it has ended.
        """
        workspace = self._departure.workspace(made.names)
        for _ in range(_TRIES):
            labels = workspace.read()
            if labels is None or labels.deleting:
                raise RequestError(f"Failed to renew the lease of {made}: it is gone")
            tags = labels.values
            if tags.get(SESSION_TAG) in {None, lease.session}:
                tags = lease.written_over(tags)
            tags = {**tags, **Use(lease.session, lease.expires).entry()}
            if workspace.write(evolve(labels, values=tags)):
                return
        raise RequestError(f"Failed to renew the lease of {made}: others change it all the time")

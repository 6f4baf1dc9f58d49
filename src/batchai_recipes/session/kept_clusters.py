"""Limits of clusters of a detached session that the service does not know of.

It reads them in the tags of the workspace that a session made, which name one session. The limits
of one that uses an existing workspace are in its journal alone.
"""

import logging
from functools import partial
from typing import Any

from batchai_recipes.builders.cluster_limits import ClusterLimits
from batchai_recipes.connection import Connection
from batchai_recipes.errors import ClusterError, RequestError
from batchai_recipes.pacing import Pacing
from batchai_recipes.refusals import explained
from batchai_recipes.session.blueprint import Blueprint
from batchai_recipes.session.cluster_age import seconds_since_made
from batchai_recipes.session.cluster_jobs import ClusterJobs
from batchai_recipes.session.departure import Departure
from batchai_recipes.session.journal import JournalContent
from batchai_recipes.session.lease import Lease
from batchai_recipes.session.service_clock import ServiceClock
from batchai_recipes.session.session_names import SessionNames
from batchai_recipes.session.watcher import Watcher

_logger = logging.getLogger("batchai_recipes.session")


def watcher_of(
    content: JournalContent, connection: Connection, clock: ServiceClock, pacing: Pacing
) -> Watcher | None:
    """Return what keeps the limits of a session that the service knows nothing of.

    Args:
        content: The session's journal.
        connection: Where it is.
        clock: The service's clock.
        pacing: The clock that time is measured on.

    Returns:
        A watcher that has no lease to renew; None where there is nothing for it to do.
    """
    names: dict[str, Any] = content.owner.names
    limits = {name: ClusterLimits(**one) for name, one in names.get("limits", {}).items()}
    made = {one.names[-1]: one for one in content.made if one.kind == "cluster"}
    blueprint = _blueprint(content, connection)
    if not limits.keys() & made or _has_lease(content.owner.session, blueprint, connection):
        return None
    jobs = ClusterJobs(connection, blueprint)
    departure = Departure(content.owner.session, connection, clock, pacing)

    def retire(cluster: str, reason: str) -> None:
        _logger.info("Deleting cluster %s: %s", cluster, reason)
        jobs.terminate(cluster)
        departure.delete(made[cluster], content.made)

    watcher = Watcher(
        limits,
        renew=lambda: None,
        busy=partial(_is_busy, jobs),
        retire=retire,
        warn=_logger.warning,
        report=_logger.info,
        monotonic=pacing.monotonic,
    )
    for name in limits.keys() & made:
        watcher.watch(name, _lived(jobs, name, clock))
    return watcher


def _has_lease(session: str, blueprint: Blueprint, connection: Connection) -> bool:
    """Tell whether the tags of the workspace are the session's, so that the service knows of it."""
    try:
        with explained(f"look for the workspace of session {session}"):
            known = connection.batchai.workspaces.get(*blueprint.names.workspace_place)
    except RequestError as error:
        _logger.warning("%s", error)
        return False  # what both delete is deleted once
    lease = Lease.from_tags(known.tags)
    return lease is not None and lease.session == session


def _is_busy(jobs: ClusterJobs, cluster: str) -> bool:
    busy = jobs.is_busy(cluster)
    if busy is None:
        raise ClusterError(f"Cluster {cluster} is gone")
    return busy


def _lived(jobs: ClusterJobs, cluster: str, clock: ServiceClock) -> float:
    """Return for how many seconds a cluster has lived; 0 where that cannot be told."""
    try:
        found = jobs.find(cluster)
    except RequestError:
        return 0.0
    return seconds_since_made(found, clock.now()) if found else 0.0


def _blueprint(content: JournalContent, connection: Connection) -> Blueprint:
    known = content.owner.names
    names = SessionNames(
        known["resource_group"], known["workspace"], known["experiment"], known["clusters"]
    )
    return Blueprint(content.owner.session, names, connection.settings, "")

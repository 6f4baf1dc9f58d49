"""Clusters of sessions that no process has: deleted when they have idled or lived for too long."""

import logging
import sqlite3

from attrs import frozen

from batchai_recipes.service.clock import iso_timestamp
from batchai_recipes.service.management import resources
from batchai_recipes.service.management.kinds import CLUSTER
from batchai_recipes.service.management.plane import ManagementPlane
from batchai_recipes.service.management.resource import DELETING, Resource
from batchai_recipes.service.management.termination import request_termination
from batchai_recipes.service.sessions.cluster_notes import ClusterNotes
from batchai_recipes.service.sessions.cluster_times import ClusterTimes, Due, unended_jobs
from batchai_recipes.service.sessions.next_look import RETRY_AFTER, NextLook
from batchai_recipes.service.sessions.session_place import SessionPlace

_logger = logging.getLogger(__name__)


@frozen
class LimitedClusters:
    """Keeps the limits of clusters.

    Args:
        plane: The parts of the service.
    """

    plane: ManagementPlane

    def keep(self, place: SessionPlace) -> NextLook:
        """Delete the clusters of a session that are due, their jobs terminated.

        Args:
            place: The session.

        Returns:
            When to look again.
        """
        looks = []
        for name in place.tags.limits:
            place, look = self._keep(place, name)
            looks.append(look)
        return NextLook.first(looks)

    def _keep(self, place: SessionPlace, name: str) -> tuple[SessionPlace, NextLook]:
        with self.plane.store.read() as records:
            _, due = self._due(records, place, name)
        now = self.plane.now()
        if due is None or due.at > now:
            return place, NextLook(due.at if due else None)
        with self.plane.store.write() as records:
            # A client may have submitted a job, or taken the session up, since.
            cluster, due = self._due(records, place, name)
            if cluster is None or due is None or not place.is_as_read(records):
                return place, NextLook(after_changes=True)
            if due.at > now:
                return place, NextLook(due.at)
            if place.others_use(cluster, now):  # they may not wish it
                return place, NextLook(now + RETRY_AFTER)
            for job in unended_jobs(records, cluster.key):
                if job.startswith(f"{place.workspace.key}/"):
                    request_termination(records, job, iso_timestamp(now))
            if not place.begin_deletion(records, self.plane, cluster):
                return place, NextLook(now + RETRY_AFTER)
            place = ClusterNotes(self.plane).announce(records, place, cluster)
        _logger.info(
            "Deleting cluster %s of session %s, which no process has: %s",
            cluster.name,
            place.tags.session,
            due.limit,
        )
        self.plane.wake()
        return place, NextLook(after_changes=True)

    def _due(
        self, records: sqlite3.Connection, place: SessionPlace, name: str
    ) -> tuple[Resource | None, Due | None]:
        cluster = resources.find(records, CLUSTER.child_id(place.workspace.id, name).lower())
        if cluster is None or cluster.provisioning_state == DELETING:
            return None, None
        times = ClusterTimes.of(records, cluster.key)
        return cluster, times.due(place.tags.limits[name], self.plane.now())

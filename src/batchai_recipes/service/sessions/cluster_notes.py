"""What the tags of a workspace note of a cluster: it goes with a cluster that a limit deletes.

That takes time, and sessions that come meanwhile wait for the end of it. So a tag announces the
deletion, as sessions announce theirs, and what is noted goes when the cluster has gone. The tags
say all of it: nothing is forgotten, whenever the service is killed.
"""

import sqlite3
from collections.abc import Iterator, Mapping
from datetime import datetime

from attrs import frozen

from batchai_recipes.service.management import resources
from batchai_recipes.service.management.kinds import CLUSTER
from batchai_recipes.service.management.plane import ManagementPlane
from batchai_recipes.service.management.resource import Resource
from batchai_recipes.service.sessions.session_place import SessionPlace
from batchai_recipes.service.sessions.users import DELETER, Users, start_of


@frozen
class ClusterNotes:
    """Takes away what is noted of clusters that are gone.

    Args:
        plane: The parts of the service.
    """

    plane: ManagementPlane

    def announce(
        self, records: sqlite3.Connection, place: SessionPlace, cluster: Resource
    ) -> SessionPlace:
        """Note that a cluster is being deleted, if anything is noted of it.

        Args:
            records: The records, open for writing.
            place: The session that it is deleted for.
            cluster: The cluster.

        Returns:
            The session with the tags that it has then.
        """
        tags = place.workspace.tags
        if not Users.within(tags, CLUSTER.name, cluster.name).labels:
            return place
        announced = start_of(CLUSTER.name, cluster.name) + DELETER
        changed = {**tags, announced: place.tags.session}
        return place.retagged(records, changed, self.plane.now())

    def take_away(self, place: SessionPlace) -> tuple[SessionPlace, bool]:
        """Take away what is noted of clusters whose deletion was announced, and that are gone.

        Args:
            place: The session.

        Returns:
            The session with the tags that are left, and whether something is still to go.
        """
        announced = set(_announced(place))
        if not announced:
            return place, False
        with self.plane.store.read() as records:
            there = self._there(records, place, announced)
        if there == announced:
            return place, True
        with self.plane.store.write() as records:
            gone = announced - self._there(records, place, announced)
            # A session that makes one of them anew has changed the tags before.
            if not gone or not place.is_as_read(records):
                return place, True
            tags, now = place.workspace.tags, self.plane.now()
            for name in gone:
                tags = _without(tags, name, place.tags.session, now)
            return place.retagged(records, tags, now), gone != announced

    def _there(self, records: sqlite3.Connection, place: SessionPlace, names: set[str]) -> set[str]:
        ids = {name: CLUSTER.child_id(place.workspace.id, name) for name in names}
        return {name for name, one in ids.items() if resources.find(records, one.lower())}


def _announced(place: SessionPlace) -> Iterator[str]:
    """Yield the names of the clusters of which it is noted that the session deletes them."""
    start, end = start_of(CLUSTER.name), f".{DELETER}"
    for tag, session in place.workspace.tags.items():
        name = tag.casefold().removeprefix(start).removesuffix(end)
        if tag.casefold() == f"{start}{name}{end}" and session == place.tags.session:
            yield name


def _without(
    tags: Mapping[str, str], cluster: str, session: str, now: datetime
) -> Mapping[str, str]:
    """Return tags without what they note of a cluster, but for sessions that wait to make it."""
    start = start_of(CLUSTER.name, cluster)
    staying = Users.within(tags, CLUSTER.name, cluster).without(session, now)
    return {
        tag: text
        for tag, text in tags.items()
        if not tag.casefold().startswith(start) or tag[len(start) :] in staying
    }

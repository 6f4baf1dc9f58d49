"""The end of a session that was handed over until a deadline: all that it made is deleted.

In steps, each of which finds out what there is to do: what is in the workspace; then the shares,
since no job uses them any more; then the workspace, whose tags name all of it, and its group. So
nothing is forgotten, whenever the service is killed.
"""

import logging
import sqlite3
from datetime import datetime
from typing import Final

from attrs import frozen

from batchai_recipes.service.management import resources, storage_accounts
from batchai_recipes.service.management.kinds import RESOURCE_GROUP, WORKSPACE
from batchai_recipes.service.management.plane import ManagementPlane
from batchai_recipes.service.management.resource import DELETING, Resource, resource_of
from batchai_recipes.service.sessions.joint_shares import JointShares
from batchai_recipes.service.sessions.next_look import RETRY_AFTER, NextLook
from batchai_recipes.service.sessions.session_place import SessionPlace
from batchai_recipes.service.sessions.session_tags import SessionTags
from batchai_recipes.service.sessions.users import Users

# Jobs go before the clusters that they need.
_INSIDE: Final = (
    "SELECT * FROM resources WHERE parent_key = ? ORDER BY kind != 'experiment', kind, key"
)
_logger = logging.getLogger(__name__)


@frozen
class SessionEnd:
    """Ends one session after another.

    Args:
        plane: The parts of the service.
        shares: The file shares that sessions made.
    """

    plane: ManagementPlane
    shares: JointShares

    def step(self, place: SessionPlace) -> NextLook:
        """Take the next step towards the end of a session.

        Args:
            place: The session, past its deadline.

        Returns:
            When to go on.
        """
        with self.plane.store.read() as records:
            inside = self._inside(records, place)
        if any(one.provisioning_state != DELETING for one in inside):
            return self._empty(place)
        return NextLook(after_changes=True) if inside else self._leave_shares(place)

    def _inside(self, records: sqlite3.Connection, place: SessionPlace) -> list[Resource]:
        """Return what is in the workspace that no other session uses."""
        rows = records.execute(_INSIDE, (place.workspace.key,))
        now = self.plane.now()
        return [one for one in map(resource_of, rows) if not place.others_use(one, now)]

    def _empty(self, place: SessionPlace) -> NextLook:
        with self.plane.store.write() as records:
            if not place.is_as_read(records):
                return NextLook(after_changes=True)
            there = self._inside(records, place)
            begun = [place.begin_deletion(records, self.plane, one) for one in there]
        session, until = place.tags.session, place.tags.until
        _logger.info("Session %s has come to its deadline, %s: deleting it", session, until)
        self.plane.wake()
        return NextLook(after_changes=True) if all(begun) else self._later()

    def _leave_shares(self, place: SessionPlace) -> NextLook:
        for account, share in place.tags.shares:
            refusal = self.shares.leave(account, share, place.tags.session)
            if refusal:
                place.warn(refusal)
                return self._later()
        return self._leave_group(place)

    def _leave_group(self, place: SessionPlace) -> NextLook:
        """Leave the workspace and its group, and delete what nobody else uses of them."""
        plane, now, session = self.plane, self.plane.now(), place.tags.session
        group_key = _group_key(place.workspace)
        accounts = storage_accounts.names_of(plane, group_key)
        with plane.store.write() as records:
            if not place.is_as_read(records):
                return NextLook(after_changes=True)
            group = resources.find(records, group_key)
            goes = group is not None and _goes(records, group, place, now)
            if Users(place.workspace.tags).others(session, now):
                left = SessionTags.without_lease(place.workspace.tags)
                place.retagged(records, Users(left).without(session, now), now)
            else:
                doomed = group if group is not None and goes else place.workspace
                if not place.begin_deletion(records, plane, doomed):
                    return self._later()
            if group is not None and not goes and Users(group.tags).include(session):
                left = Users(group.tags).without(session, now)
                resources.save(records, group.changed(now, tags=left))
        if goes:
            storage_accounts.empty(plane, accounts)
        plane.wake()
        _logger.info("Session %s is deleted", session)
        return NextLook()

    def _later(self) -> NextLook:
        return NextLook(self.plane.now() + RETRY_AFTER)


def _group_key(workspace: Resource) -> str:
    """Return the record key of the group that a workspace lies in."""
    return "/".join(workspace.key.split("/")[: RESOURCE_GROUP.path.count("/") + 1])


def _goes(records: sqlite3.Connection, group: Resource, place: SessionPlace, now: datetime) -> bool:
    """Tell whether a group goes with its session: sessions made it, and nobody else uses it."""
    users, session = Users(group.tags), place.tags.session
    if group.provisioning_state == DELETING or not users.are_sessions:
        return False
    if not users.include(session) or users.others(session, now):
        return False
    if Users(place.workspace.tags).others(session, now):
        return False
    other = records.execute(
        "SELECT 1 FROM resources WHERE parent_key = ? AND kind = ? AND key != ? LIMIT 1",
        (group.key, WORKSPACE.name, place.workspace.key),
    ).fetchone()
    return other is None

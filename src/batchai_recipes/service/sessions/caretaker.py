"""Sees to sessions that no process has, in a thread of its own."""

import logging
import threading
from datetime import datetime
from typing import Final

from batchai_recipes.service.management.kinds import WORKSPACE
from batchai_recipes.service.management.plane import ManagementPlane
from batchai_recipes.service.management.resource import DELETING, resource_of
from batchai_recipes.service.sessions.cluster_notes import ClusterNotes
from batchai_recipes.service.sessions.joint_shares import JointShares
from batchai_recipes.service.sessions.limited_clusters import LimitedClusters
from batchai_recipes.service.sessions.next_look import RETRY_AFTER, NextLook
from batchai_recipes.service.sessions.session_end import SessionEnd
from batchai_recipes.service.sessions.session_place import SessionPlace
from batchai_recipes.service.sessions.session_tags import SESSION, SessionTags

_TAGGED: Final = (
    "SELECT * FROM resources WHERE kind = ? AND provisioning_state != ? AND instr(tags, ?) "
    "ORDER BY key"
)
_logger = logging.getLogger(__name__)


class Caretaker:
    """Ends sessions at their deadlines, and keeps the limits of clusters that nobody else keeps.

    Level-triggered, as the scheduler is: each look compares what the tags of workspaces say with
    the time and with what there is. So it does not matter how often it is woken, or whether the
    service was down when something was due.

    Args:
        plane: The parts of the service; its clock decides what is due.
        shares: The file shares that sessions made.
    """

    def __init__(self, plane: ManagementPlane, shares: JointShares) -> None:
        self._plane = plane
        self._end = SessionEnd(plane, shares)
        self._limits = LimitedClusters(plane)
        self._notes = ClusterNotes(plane)
        self._bell = threading.Event()
        self._listens = False
        self._have_changed = False
        self._stopping = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to look, at once and whenever something may be due."""
        self._stopping = False
        self._plane.changes.listen(self._changed)
        self._thread = threading.Thread(target=self._run, name="caretaker", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Look no more; waits for a look that is under way."""
        self._stopping = True
        self._bell.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self._plane.changes.unlisten(self._changed)

    def wake(self) -> None:
        """Have it look soon, since tags may have changed. Called from any thread."""
        self._bell.set()

    def look(self) -> NextLook:
        """Do what is due now.

        Returns:
            When to look again.
        """
        return NextLook.first(map(self._look_at, self._places()))

    def _look_at(self, place: SessionPlace) -> NextLook:
        tags, now = place.tags, self._plane.now()
        if tags.has_ended(now):
            return self._end.step(place)
        place, more = self._notes.take_away(place)
        return NextLook.first([self._keep(place, now), NextLook(after_changes=more)])

    def _keep(self, place: SessionPlace, now: datetime) -> NextLook:
        tags = place.tags
        if tags.is_unattended(now):
            kept = self._limits.keep(place)
            return NextLook.first([kept, NextLook(tags.until)]) if tags.detached else kept
        # A lease that runs may run out.
        return NextLook(tags.until if tags.limits else None)

    def _places(self) -> list[SessionPlace]:
        with self._plane.store.read() as records:
            rows = records.execute(_TAGGED, (WORKSPACE.name, DELETING, SESSION)).fetchall()
        read = ((one, SessionTags.of(one.tags)) for one in map(resource_of, rows))
        return [SessionPlace(workspace, tags) for workspace, tags in read if tags is not None]

    def _changed(self) -> None:
        self._have_changed = True
        if self._listens:
            self._bell.set()

    def _run(self) -> None:
        while not self._stopping:
            self._bell.clear()
            self._listens = self._have_changed = False
            look = self._attempt()
            self._listens = look.after_changes
            # What has changed during the look rang no bell.
            if not (look.after_changes and self._have_changed):
                self._bell.wait(self._seconds_until(look))

    def _attempt(self) -> NextLook:
        try:
            return self.look()
        except Exception:
            # Say, the disk is full. The thread must live on, for it will not stay so.
            _logger.exception("Looking after sessions failed; it is tried again")
            return NextLook(self._plane.now() + RETRY_AFTER)

    def _seconds_until(self, look: NextLook) -> float:
        """Return how long to wait; never long, for clocks are set and machines sleep."""
        longest = RETRY_AFTER.total_seconds()
        if look.at is None:
            return longest
        return min(max((look.at - self._plane.now()).total_seconds(), 0.0), longest)

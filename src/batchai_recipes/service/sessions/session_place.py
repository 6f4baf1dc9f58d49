"""What was found of a session: its workspace, as it was read, and what the tags of that say."""

import logging
import sqlite3
from collections.abc import Mapping
from datetime import datetime

from attrs import evolve, frozen

from batchai_recipes.service.management import deletion, resources
from batchai_recipes.service.management.errors import ManagementError
from batchai_recipes.service.management.plane import ManagementPlane
from batchai_recipes.service.management.resource import Resource
from batchai_recipes.service.sessions.session_tags import SessionTags
from batchai_recipes.service.sessions.users import Users

_logger = logging.getLogger(__name__)


@frozen
class SessionPlace:
    """A session's workspace.

    Args:
        workspace: The workspace, as it was read.
        tags: What its tags say.
    """

    workspace: Resource
    tags: SessionTags

    def is_as_read(self, records: sqlite3.Connection) -> bool:
        """Tell whether the tags are still the same; who takes the session up changes them.

        Args:
            records: The records, open for writing.
        """
        present = resources.find(records, self.workspace.key)
        return present is not None and present.etag == self.workspace.etag

    def others_use(self, resource: Resource, now: datetime) -> bool:
        """Tell whether other sessions use something in the workspace, so that it is theirs too.

        Args:
            resource: What it is.
            now: The present time.
        """
        users = Users.within(self.workspace.tags, resource.kind.name, resource.name)
        return bool(users.others(self.tags.session, now))

    def retagged(
        self, records: sqlite3.Connection, tags: Mapping[str, str], now: datetime
    ) -> "SessionPlace":
        """Give the workspace other tags, which say the same of the session.

        Args:
            records: The records, open for writing, where it is as it was read.
            tags: The tags.
            now: The present time.

        Returns:
            The session with these.
        """
        changed = self.workspace.changed(now, tags=tags)
        resources.save(records, changed)
        return evolve(self, workspace=changed)

    def begin_deletion(
        self, records: sqlite3.Connection, plane: ManagementPlane, resource: Resource
    ) -> bool:
        """Begin to delete something of the session, unless somebody else needs it.

        Args:
            records: The records, open for writing.
            plane: The parts of the service.
            resource: What to delete.

        Returns:
            Whether that was begun.
        """
        try:
            deletion.begin(records, plane, resource)
        except ManagementError as error:
            self.warn(error.message)
            return False
        return True

    def warn(self, why: str) -> None:
        """Log what keeps something of the session from being deleted.

        Args:
            why: What it is.
        """
        _logger.warning(
            "Something of session %s cannot be deleted yet, and is tried again: %s",
            self.tags.session,
            why,
        )

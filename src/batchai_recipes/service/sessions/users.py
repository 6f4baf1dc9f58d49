"""Who uses what sessions made: entries in a share's metadata, or a group's or workspace's tags.

Batch AI gives no tags to clusters and experiments: theirs are among those of their workspace, as
``batchai_recipes_KIND.NAME.LABEL``.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from attrs import frozen

from batchai_recipes.service.sessions.session_tags import SESSION
from batchai_recipes.tag_values import moment

SHARE_MADE: Final = "batchai_recipes_session"
"""The metadata of a share that says that a session made it; of what has tags it is one of them."""

_USER: Final = "batchai_recipes_user_"
_TURN: Final = "batchai_recipes_staging"
DELETER: Final = "batchai_recipes_deleter"
"""The label that names the session for which something in a workspace is being deleted."""


@frozen
class Users:
    """The sessions that use a thing, by its labels.

    Args:
        labels: Its tags or metadata.
        made: The label that says that a session made it.

    Example:
        >>> labels = {"batchai-recipes-session": "s", "batchai_recipes_user_s": "s kept"}
        >>> Users(labels).include("s"), Users(labels).include("t")
        (True, False)
    """

    labels: Mapping[str, str]
    made: str = SESSION

    @classmethod
    def within(cls, tags: Mapping[str, str], kind: str, name: str) -> "Users":
        """Return who uses something in a workspace.

        Args:
            tags: The workspace's tags.
            kind: What it is, such as ``cluster``.
            name: Its name.

        Example:
            >>> tags = {"batchai_recipes_cluster.mine.batchai_recipes_user_s": "s kept"}
            >>> Users.within(tags, "cluster", "Mine").include("s")
            True
        """
        start = start_of(kind, name)
        found = ((tag[len(start) :], tag) for tag in tags if tag.casefold().startswith(start))
        return cls({label: tags[tag] for label, tag in found})

    @property
    def are_sessions(self) -> bool:
        """Whether sessions made the thing, so that the last of them deletes it."""
        return any(name.lower() == self.made for name in self.labels)

    def include(self, session: str) -> bool:
        """Tell whether a session is among them.

        Args:
            session: Its id.
        """
        return any(self._entry(name) == session for name in self.labels)

    def others(self, session: str, now: datetime) -> list[str]:
        """Return the other sessions that use it now.

        Args:
            session: The session that is left out.
            now: The present time; who has not been heard of until then is gone.
        """
        using = (self._entry(name) for name in self.labels if not self._has_run_out(name, now))
        return [one for one in using if one and one != session]

    def without(self, session: str, now: datetime) -> dict[str, str]:
        """Return the labels without what names a session, or one that is gone.

        Args:
            session: The session's id.
            now: The present time.
        """
        return {
            name: value
            for name, value in self.labels.items()
            if not self._names(name, session) and not self._has_run_out(name, now)
        }

    def _names(self, name: str, session: str) -> bool:
        """Tell whether a label names a session, as a user or for something that it does."""
        if _last_part(name) in {_TURN, DELETER}:
            return self.labels[name] == session
        return self._entry(name) == session

    def _entry(self, name: str) -> str | None:
        """Return the session that an entry is of; None for another label."""
        if not _last_part(name).startswith(_USER):
            return None
        return self.labels[name].partition(" ")[0] or None

    def _has_run_out(self, name: str, now: datetime) -> bool:
        if self._entry(name) is None:
            return False
        until = moment(self.labels[name].partition(" ")[2])
        # What cannot be read is taken for one that stays.
        return until is not None and until <= now


def start_of(kind: str, name: str = "") -> str:
    """Return what the tags begin with that are labels of something in a workspace.

    Args:
        kind: What it is, such as ``cluster``.
        name: Its name, which has no dot; empty for those of all of the kind.

    Example:
        >>> start_of("cluster", "Mine"), start_of("cluster")
        ('batchai_recipes_cluster.mine.', 'batchai_recipes_cluster.')
    """
    return f"batchai_recipes_{kind}.{name.casefold()}." if name else f"batchai_recipes_{kind}."


def _last_part(name: str) -> str:
    """Return a label's own name: in a workspace it is after two dots; a resource's has none."""
    return name.rpartition(".")[2].lower()

"""What one sees of a session: its names, where it stands, its run folder."""

from datetime import datetime
from pathlib import Path

from batchai_recipes.notebook import table
from batchai_recipes.session.live_session import LiveSession
from batchai_recipes.session.session_names import SessionNames
from batchai_recipes.session.session_options import SessionOptions
from batchai_recipes.staging.staged_manifest import StagedManifest


class SessionView:
    """The part of :class:`TrainingSession` that is to be looked at.

    Args:
        options: What was asked.
    """

    def __init__(self, options: SessionOptions) -> None:
        self._options = options
        self._live: LiveSession | None = None
        self._left = False

    @property
    def id(self) -> str:
        """The session's id, for ``batchai-recipes reap`` and :meth:`TrainingSession.attach`."""
        return self._options.id

    @property
    def names(self) -> SessionNames:
        """The names of what the session makes or uses."""
        return self._options.names

    @property
    def staged(self) -> StagedManifest | None:
        """What the session's staging put on its share, or found there unchanged.

        Of the first share, where there are several. None for a session without a staging, and
        before it is entered.
        """
        return self._live.staged if self._live else None

    @property
    def run_folder(self) -> Path | None:
        """The folder that explains the session; None before it is entered."""
        return self._live.folder.path if self._live else None

    @property
    def deadline(self) -> datetime | None:
        """Until when the session was handed over to the service; None for one that was not.

        By the service's clock: what :meth:`TrainingSession.detach` was given, and for a session
        that was taken up again, what it was given before.
        """
        return self._live.deadline if self._live else None

    def __repr__(self) -> str:
        return f"TrainingSession({self.id!r}, {self._standing})"

    def _repr_html_(self) -> str:
        """Return its names as a table, for notebooks."""
        names = self.names
        rows = {
            "state": self._standing,
            "resource group": names.resource_group,
            "workspace": names.workspace,
            "experiment": names.experiment,
            "clusters": names.clusters,
            "file share": ", ".join(one.share for one in self._options.stagings) or None,
        }
        return table(f"TrainingSession {self.id}", rows)

    @property
    def _standing(self) -> str:
        if self._live is None:
            return "not entered"
        return "left" if self._left else "entered"

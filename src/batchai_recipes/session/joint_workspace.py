"""Workspaces that sessions may use jointly; their tags are their labels.

What the clients raise goes on as it is: who asks knows what for.
"""

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING

from attrs import define, field, frozen

from batchai_recipes.connection import Connection
from batchai_recipes.session.condition import (
    CHANGED_OR_DELETING,
    StateRead,
    only_as_read,
    only_new,
    unless_changed,
)
from batchai_recipes.session.joint_use import Labels, label_of, uses
from batchai_recipes.session.lease import SESSION_TAG, without_lease
from batchai_recipes.session.service_clock import ServiceClock
from batchai_recipes.session.workspace_notes import workspace_uses

if TYPE_CHECKING:
    from azure.mgmt.batchai.models import (
        Cluster,
        Experiment,
        Workspace,
        WorkspaceCreateParameters,
    )


@define
class LastRead:
    """A workspace as it was read or written last, so that a change need not begin with a read.

    A change on the condition that nothing has changed since shows whether it is so still. Where the
    service names no states, nothing is remembered.

    Args:
        labels: Its labels; None where they have to be read.
    """

    labels: Labels | None = None

    def note(self, labels: Labels) -> Labels:
        """Remember labels, and return them."""
        self.labels = labels if labels.etag and not labels.deleting else None
        return labels

    def forget(self) -> None:
        """Let the labels be read the next time."""
        self.labels = None


@frozen
class JointWorkspace:
    """A workspace; its tags are its labels.

    Args:
        connection: Where it is.
        place: The names that lead to it.
        session: The session that makes or uses it.
        clock: The service's clock; told by its answers.
        parameters: Gives the parameters to make it with, when they are sent; None where it is not
            to be made.
        last: How it was found last, by whoever shares this.
    """

    connection: Connection
    place: tuple[str, str]
    session: str
    clock: ServiceClock
    parameters: "Callable[[], WorkspaceCreateParameters] | None" = field(default=None)
    last: LastRead = field(factory=LastRead)

    def __str__(self) -> str:
        return f"workspace {self.place[-1]}"

    def read(self) -> Labels | None:
        """Return its tags; None where it is not there."""
        return self.last.labels or self.read_anew()

    def read_anew(self) -> Labels | None:
        """Return its tags, whatever is remembered of them."""
        from azure.core.exceptions import ResourceNotFoundError  # noqa: PLC0415 - on first use

        self.last.forget()
        state = StateRead(self.clock)
        try:
            known: Workspace = self.connection.batchai.workspaces.get(
                *self.place, raw_response_hook=state.note
            )
        except ResourceNotFoundError:
            return None
        return self.last.note(_labels_of(known, state))

    def make(self, entry: Mapping[str, str]) -> bool:
        """Make it with an entry; tell whether that was done."""
        if self.parameters is None:
            return False
        parameters = self.parameters()
        parameters.tags = {**(parameters.tags or {}), **entry}
        workspaces = self.connection.batchai.workspaces
        # Nothing else says that there is one: a group that is missing has to be told.
        return unless_changed(
            lambda: workspaces.begin_create(
                *self.place, parameters, raw_request_hook=only_new
            ).result(),
            {HTTPStatus.PRECONDITION_FAILED},
        )

    def write(self, labels: Labels) -> bool:
        """Replace its tags if it is as it was read; tell whether that was done.

        The lease of the session goes with its entry.
        """
        from azure.mgmt.batchai import models  # noqa: PLC0415 - loaded on first use

        tags = dict(labels.values)
        if label_of(self.session) not in tags and tags.get(SESSION_TAG) == self.session:
            tags = without_lease(tags)
        workspaces = self.connection.batchai.workspaces
        state = StateRead(self.clock)

        def update() -> None:
            known: Workspace = workspaces.update(
                *self.place,
                models.WorkspaceUpdateParameters(tags=tags),
                raw_request_hook=only_as_read(labels.etag),
                raw_response_hook=state.note,
            )
            self.last.note(_labels_of(known, state))

        self.last.forget()
        return unless_changed(update, CHANGED_OR_DELETING)

    def delete(self, labels: Labels) -> bool:
        """Delete it if it is as it was read; tell whether it is gone."""
        self.last.forget()
        workspaces = self.connection.batchai.workspaces
        condition = only_as_read(labels.etag)
        return unless_changed(
            lambda: workspaces.begin_delete(*self.place, raw_request_hook=condition).wait()
        )

    def clear(self, session: str) -> None:
        """Do nothing: its tags go with it."""

    def other_user(self) -> str | None:
        """Say who uses it that is no session: nobody that could be known."""
        return None


def _labels_of(known: "Workspace", state: StateRead) -> Labels:
    tags = dict(known.tags or {})
    for use in workspace_uses(tags):
        tags.update(use.entry())
    of_sessions = SESSION_TAG in tags or bool(uses(tags))
    return Labels(tags, state.etag, of_sessions, deleting=is_deleting(known))


def is_deleting(known: "Workspace | Cluster | Experiment") -> bool:
    """Tell whether the service is deleting something.

    Args:
        known: What it says of it.
    """
    state = getattr(known, "provisioning_state", None)
    return str(getattr(state, "value", state)) == "deleting"

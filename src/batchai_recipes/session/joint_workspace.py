"""Workspaces, and clusters and experiments in them, that sessions may use jointly.

Batch AI gives tags to workspaces only. So the tags of a workspace are the labels of what is in it
too, and the deletion of a cluster or an experiment is on the condition that a tag could be written
first that announces it. What the clients raise goes on as it is: who asks knows what for.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from attrs import define, evolve, field, frozen

from batchai_recipes.connection import Connection
from batchai_recipes.errors import RequestError
from batchai_recipes.refusals import status_of
from batchai_recipes.session.condition import (
    CHANGED_OR_DELETING,
    StateRead,
    only_as_read,
    only_new,
    unless_changed,
)
from batchai_recipes.session.joint_use import Labels, Use, label_of, uses
from batchai_recipes.session.lease import SESSION_TAG, Lease, without_lease
from batchai_recipes.session.made import Made
from batchai_recipes.session.service_clock import ServiceClock

if TYPE_CHECKING:
    from azure.mgmt.batchai.models import (
        Cluster,
        Experiment,
        Workspace,
        WorkspaceCreateParameters,
    )

InnerKind: TypeAlias = Literal["cluster", "experiment"]
"""What of a workspace sessions may use jointly."""

DELETER: Final = "batchai_recipes_deleter"
"""The label that names the session that is deleting something in a workspace."""

# Of those that change something at the same time one always succeeds.
_TRIES: Final = 20
_INNER_KINDS: Final[tuple[InnerKind, ...]] = ("experiment", "cluster")


def _start(kind: InnerKind, name: str) -> str:
    # A resource's name has no dot.
    return f"batchai_recipes_{kind}.{name.casefold()}."


def inner_labels(kind: InnerKind, name: str, tags: Mapping[str, str] | None) -> dict[str, str]:
    """Return the labels of something in a workspace.

    Args:
        kind: What it is.
        name: Its name.
        tags: The workspace's tags.

    Example:
        >>> tags = {"batchai_recipes_cluster.c.batchai_recipes_user_s": "s kept", "mine": "yes"}
        >>> inner_labels("cluster", "C", tags)
        {'batchai_recipes_user_s': 's kept'}
    """
    start = _start(kind, name)
    return {
        tag[len(start) :]: value
        for tag, value in (tags or {}).items()
        if tag.casefold().startswith(start)
    }


def inner_uses(tags: Mapping[str, str] | None) -> Iterator[tuple[InnerKind, str, Use]]:
    """Read who uses what in a workspace, experiments before clusters.

    Args:
        tags: The workspace's tags.
    """
    for kind in _INNER_KINDS:
        start = f"batchai_recipes_{kind}."
        names = [tag[len(start) :] for tag in tags or {} if tag.casefold().startswith(start)]
        for name in dict.fromkeys(one.partition(".")[0].casefold() for one in names):
            for use in uses(inner_labels(kind, name, tags)):
                yield kind, name, use


def workspace_uses(tags: Mapping[str, str] | None) -> list[Use]:
    """Read who uses a workspace that sessions have made; a lease on it is a use of it.

    Args:
        tags: The workspace's tags.
    """
    lease = Lease.from_tags(tags)
    entries = {use.session: use for use in uses(tags)}
    if lease:
        entry = entries.get(lease.session)
        ends = [lease.expires, entry.until if entry else lease.expires]
        last = None if None in ends else max(end for end in ends if end)
        entries[lease.session] = Use(lease.session, last)
    return list(entries.values())


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


@frozen
class JointInWorkspace:
    """A cluster or an experiment; among the tags of its workspace are its labels.

    Args:
        made: What it is.
        kind: The same, in a word.
        workspace: The workspace.
        create: Makes it unless it is there; None where it is not to be made.
    """

    made: Made
    kind: InnerKind
    workspace: JointWorkspace
    create: Callable[[], object] | None = field(default=None)

    def __str__(self) -> str:
        return str(self.made)

    def read(self) -> Labels | None:
        """Return its labels; None where it is not there."""
        around = self.workspace.read()
        while around is not None:
            # In this order, so that one whose labels went with it is not found without any.
            known = self._known()
            if known is None:
                return None
            labels = self._labels(around, known)
            if labels.deleting:
                self.workspace.last.forget()
            if labels.of_sessions:
                return labels
            # It may have been made, and labelled, since the tags were read.
            before, around = around, self.workspace.read_anew()
            if around == before:
                return labels
        return None

    def make(self, entry: Mapping[str, str]) -> bool:
        """Make it with an entry, which is written first; tell whether that was done."""
        if self.create is None:
            return False
        around = self.workspace.read()
        if around and not self._write(around, around.values, entry):
            return False
        try:
            made = unless_changed(self.create, {HTTPStatus.PRECONDITION_FAILED})
        except Exception as error:
            if status_of(error) == HTTPStatus.CONFLICT:
                self.clear(self.workspace.session)
            raise
        if not made:
            self.clear(self.workspace.session)
        return made

    def write(self, labels: Labels) -> bool:
        """Replace its labels if the workspace is as it was read; tell whether that was done."""
        return self._write(labels, labels.beside, labels.values)

    def delete(self, labels: Labels) -> bool:
        """Delete it if the workspace is as it was read; tell whether it is gone.

        A session that comes meanwhile sees that, and waits.
        """
        session = self.workspace.session
        if not self.write(evolve(labels, values={**labels.values, DELETER: session})):
            return False
        try:
            self._delete()
        except Exception:
            self._take_away({DELETER})
            raise
        self._take_away({*labels.values, DELETER})
        return True

    def clear(self, session: str) -> None:
        """Take a session's entry away where one stays although the thing is not there."""
        self._take_away({label_of(session), DELETER})

    def other_user(self) -> str | None:
        """Say who uses it that is no session: the service knows, and refuses to delete it."""
        return None

    def _labels(self, around: Labels, known: "Cluster | Experiment") -> Labels:
        values = inner_labels(self.kind, self.made.names[-1], around.values)
        # What nobody has noted in a workspace is of the session that made that.
        is_owners = around.values.get(SESSION_TAG) == self.workspace.session
        return Labels(
            values,
            around.etag,
            of_sessions=is_owners or bool(uses(values)),
            deleting=around.deleting or _is_deleting(known) or self._has_deleter(values),
            beside=self._beside(around.values),
        )

    def _has_deleter(self, values: Mapping[str, str]) -> bool:
        """Tell whether a session that lives is deleting it."""
        now = self.workspace.clock.now()
        return any(
            use.session == values.get(DELETER) and not use.has_run_out(now) for use in uses(values)
        )

    def _beside(self, tags: Mapping[str, str]) -> dict[str, str]:
        start = _start(self.kind, self.made.names[-1])
        return {tag: value for tag, value in tags.items() if not tag.casefold().startswith(start)}

    def _write(self, labels: Labels, tags: Mapping[str, str], values: Mapping[str, str]) -> bool:
        """Write the workspace's tags with labels of the thing among them, on condition."""
        start = _start(self.kind, self.made.names[-1])
        own = {start + name: value for name, value in values.items()}
        return self.workspace.write(evolve(labels, values={**tags, **own}))

    def _take_away(self, names: set[str]) -> None:
        """Take labels away; of those that announce a deletion, the session's own alone."""
        start = _start(self.kind, self.made.names[-1])
        unwanted = {start + name.casefold() for name in names}
        announced = start + DELETER
        for _ in range(_TRIES):
            around = self.workspace.read()
            if around is None or around.deleting:
                return
            unwanted -= {
                tag
                for tag, value in around.values.items()
                if tag.casefold() == announced and value != self.workspace.session
            }
            values = {k: v for k, v in around.values.items() if k.casefold() not in unwanted}
            if values == around.values or self.workspace.write(evolve(around, values=values)):
                return
        raise RequestError(
            f"Failed to write the tags of {self.workspace}: others change them all the time"
        )

    def _known(self) -> "Cluster | Experiment | None":
        from azure.core.exceptions import ResourceNotFoundError  # noqa: PLC0415 - on first use

        batchai = self.workspace.connection.batchai
        operations = batchai.clusters if self.kind == "cluster" else batchai.experiments
        with suppress(ResourceNotFoundError):
            found: Cluster | Experiment = operations.get(*self.made.names)
            return found
        return None

    def _delete(self) -> None:
        from azure.core.exceptions import ResourceNotFoundError  # noqa: PLC0415 - on first use

        batchai = self.workspace.connection.batchai
        operations = batchai.clusters if self.kind == "cluster" else batchai.experiments
        with suppress(ResourceNotFoundError):
            operations.begin_delete(*self.made.names).wait()


def _labels_of(known: "Workspace", state: StateRead) -> Labels:
    tags = dict(known.tags or {})
    for use in workspace_uses(tags):
        tags.update(use.entry())
    of_sessions = SESSION_TAG in tags or bool(uses(tags))
    return Labels(tags, state.etag, of_sessions, deleting=_is_deleting(known))


def _is_deleting(known: "Workspace | Cluster | Experiment") -> bool:
    state = getattr(known, "provisioning_state", None)
    return str(getattr(state, "value", state)) == "deleting"

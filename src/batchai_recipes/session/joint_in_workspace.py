"""Clusters and experiments that sessions may use jointly; tags of their workspace are their labels.

So the deletion of one is on the condition that a tag could be written first that announces it. What
the clients raise goes on as it is: who asks knows what for.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from attrs import evolve, field, frozen

from batchai_recipes.errors import RequestError
from batchai_recipes.refusals import status_of
from batchai_recipes.session.condition import unless_changed
from batchai_recipes.session.joint_use import Labels, label_of, uses
from batchai_recipes.session.joint_workspace import JointWorkspace, is_deleting
from batchai_recipes.session.lease import SESSION_TAG
from batchai_recipes.session.made import Made
from batchai_recipes.session.workspace_notes import DELETER, InnerKind, inner_labels, start_of

if TYPE_CHECKING:
    from azure.mgmt.batchai.models import Cluster, Experiment

# Of those that change something at the same time one always succeeds.
_TRIES: Final = 20


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
        if around and not self._write(around, self._without_deleter(around.values), entry):
            return False
        noted = self.workspace.last.labels
        try:
            made = unless_changed(self.create, {HTTPStatus.PRECONDITION_FAILED})
        except Exception as error:
            if status_of(error) == HTTPStatus.CONFLICT:
                self.clear(self.workspace.session)
            raise
        if not made:
            self._withdraw(noted)
        return made

    def _withdraw(self, noted: Labels | None) -> None:
        """Take the session's entry away, since somebody else has made it in between.

        Unless that was a session that has ended since then and left it to this one.
        """
        own = start_of(self.kind, self.made.names[-1]) + label_of(self.workspace.session)
        for _ in range(_TRIES):
            around = self.workspace.read()
            if around is None or around.deleting:
                return
            values = inner_labels(self.kind, self.made.names[-1], around.values)
            others = any(use.session != self.workspace.session for use in uses(values))
            if noted is not None and around.etag != noted.etag and not others:
                return
            left = {tag: value for tag, value in around.values.items() if tag.casefold() != own}
            if left == around.values or self.workspace.write(evolve(around, values=left)):
                return

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
            deleting=around.deleting or is_deleting(known) or self._has_deleter(values),
            beside=self._beside(around.values),
        )

    def _has_deleter(self, values: Mapping[str, str]) -> bool:
        """Tell whether a session that lives is deleting it."""
        now = self.workspace.clock.now()
        return any(
            use.session == values.get(DELETER) and not use.has_run_out(now) for use in uses(values)
        )

    def _without_deleter(self, tags: Mapping[str, str]) -> dict[str, str]:
        """Return tags without the session that has deleted it, which will not see to a new one."""
        start = start_of(self.kind, self.made.names[-1])
        deleter = inner_labels(self.kind, self.made.names[-1], tags).get(DELETER)
        left = {start + DELETER, start + label_of(deleter)} if deleter else set()
        return {tag: value for tag, value in tags.items() if tag.casefold() not in left}

    def _beside(self, tags: Mapping[str, str]) -> dict[str, str]:
        start = start_of(self.kind, self.made.names[-1])
        return {tag: value for tag, value in tags.items() if not tag.casefold().startswith(start)}

    def _write(self, labels: Labels, tags: Mapping[str, str], values: Mapping[str, str]) -> bool:
        """Write the workspace's tags with labels of the thing among them, on condition."""
        start = start_of(self.kind, self.made.names[-1])
        own = {start + name: value for name, value in values.items()}
        return self.workspace.write(evolve(labels, values={**tags, **own}))

    def _take_away(self, names: set[str]) -> None:
        """Take labels away; of those that announce a deletion, the session's own alone."""
        start = start_of(self.kind, self.made.names[-1])
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

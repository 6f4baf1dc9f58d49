"""The things that sessions may use jointly: file shares and resource groups.

What the clients raise goes on as it is: who asks knows what for.
"""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from batchai_recipes.connection import Connection
from batchai_recipes.session.condition import (
    CHANGED_OR_DELETING,
    MADE_OR_DELETING,
    StateRead,
    only_as_read,
    only_new,
    unless_changed,
)
from batchai_recipes.session.joint_use import Labels
from batchai_recipes.session.lease import SESSION_TAG, SHARE_METADATA
from batchai_recipes.session.service_clock import ServiceClock
from batchai_recipes.staging.file_shares import Noted, shares_of
from batchai_recipes.staging.upload import create_share

if TYPE_CHECKING:
    from azure.mgmt.batchai.models import Workspace


@frozen
class JointFileShare:
    """A file share; its metadata are its labels.

    Args:
        connection: Where it is, in the connection's storage account.
        share: Its name.
        maker: The session that makes it, where it is missing.
    """

    connection: Connection
    share: str
    maker: str = ""

    def __str__(self) -> str:
        return f"file share {self.share}"

    def read(self) -> Labels | None:
        """Return its metadata; None where it is not there."""
        noted = shares_of(self.connection).noted(self.share)
        if noted is None:
            return None
        of_sessions = any(name.lower() == SHARE_METADATA for name in noted.metadata)
        return Labels(noted.metadata, noted.etag, of_sessions)

    def make(self, entry: Mapping[str, str]) -> bool:
        """Make it with an entry; tell whether that was done."""
        return create_share(self.connection, self.share, {SHARE_METADATA: self.maker, **entry})

    def write(self, labels: Labels) -> bool:
        """Replace its metadata if it is as it was read; tell whether that was done."""
        shares, noted = shares_of(self.connection), Noted(labels.values, labels.etag)
        return unless_changed(lambda: shares.note(self.share, noted), CHANGED_OR_DELETING)

    def delete(self, labels: Labels) -> bool:
        """Delete it if it is as it was read; tell whether it is gone."""
        shares = shares_of(self.connection)
        return unless_changed(lambda: shares.delete(self.share, labels.etag))

    def clear(self, session: str) -> None:
        """Do nothing: its metadata go with it."""

    def other_user(self) -> str | None:
        """Say who uses it that is no session: nobody that could be known."""
        return None


@frozen
class JointResourceGroup:
    """A resource group; its tags are its labels.

    Args:
        connection: Where it is.
        group: Its name.
        clock: The service's clock; told by its answers.
        own: The names of workspaces in it that are the session's own.
        parameters: Gives the parameters to make it with, when they are sent; None where it is not
            to be made.
    """

    connection: Connection
    group: str
    clock: ServiceClock
    own: Iterable[str] = ()
    parameters: Callable[[], dict[str, Any]] | None = field(default=None)

    def __str__(self) -> str:
        return f"resource group {self.group}"

    def read(self) -> Labels | None:
        """Return its tags; None where it is not there."""
        from azure.core.exceptions import ResourceNotFoundError  # noqa: PLC0415 - on first use

        state = StateRead(self.clock)
        try:
            known = self.connection.resources.resource_groups.get(
                self.group, raw_response_hook=state.note
            )
        except ResourceNotFoundError:
            return None
        tags = dict(known.tags or {})
        of_sessions = any(name.lower() == SESSION_TAG for name in tags)
        provisioning = known.properties.provisioning_state if known.properties else None
        return Labels(tags, state.etag, of_sessions, deleting=provisioning == "Deleting")

    def make(self, entry: Mapping[str, str]) -> bool:
        """Make it with an entry; tell whether that was done."""
        if self.parameters is None:
            return False
        parameters = self.parameters()
        parameters["tags"] = {**parameters["tags"], **entry}
        groups = self.connection.resources.resource_groups
        # Two sessions may find it missing at the same time.
        return unless_changed(
            lambda: groups.create_or_update(self.group, parameters, raw_request_hook=only_new),
            MADE_OR_DELETING,
        )

    def write(self, labels: Labels) -> bool:
        """Replace its tags if it is as it was read; tell whether that was done."""
        groups = self.connection.resources.resource_groups
        return unless_changed(
            lambda: groups.update(
                self.group,
                {"tags": dict(labels.values)},
                raw_request_hook=only_as_read(labels.etag),
            ),
            CHANGED_OR_DELETING,
        )

    def delete(self, labels: Labels) -> bool:
        """Delete it if it is as it was read; tell whether it is gone."""
        groups = self.connection.resources.resource_groups
        condition = only_as_read(labels.etag)
        return unless_changed(
            lambda: groups.begin_delete(self.group, raw_request_hook=condition).wait()
        )

    def clear(self, session: str) -> None:
        """Do nothing: its tags go with it."""

    def other_user(self) -> str | None:
        """Say which workspace is in it that is not the session's."""
        from azure.core.exceptions import ResourceNotFoundError  # noqa: PLC0415 - on first use

        own = {name.casefold() for name in self.own}
        with suppress(ResourceNotFoundError):
            pages = self.connection.batchai.workspaces.list_by_resource_group(self.group)
            # The package's annotation names the page in place of the item.
            workspaces: Iterable[Workspace] = pages  # type: ignore[assignment]
            names = (str(workspace.name) for workspace in workspaces)
            return next((f"workspace {name}" for name in names if name.casefold() not in own), None)
        return None

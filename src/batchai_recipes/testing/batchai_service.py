"""The embedded service as tests use it: one for all, and nothing left from one to the next."""

import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Final

from typing_extensions import Self

from batchai_recipes.connection import Connection
from batchai_recipes.profiles import PROFILE_FILE_VARIABLE, PROFILE_VARIABLE
from batchai_recipes.refusals import explained
from batchai_recipes.session.listener import logger
from batchai_recipes.session.made import Made
from batchai_recipes.session.undo import UndoStack, clean_up_error
from batchai_recipes.settings import (
    ENV_FILE_VARIABLE,
    STATE_DIR_VARIABLE,
    ConnectionSettings,
)
from batchai_recipes.staging.upload import create_share
from batchai_recipes.testing.file_share import FileShare

_NAME_BYTES: Final = 4
_API_VERSION: Final = "2018-05-01"


class BatchAIService:
    """An embedded service for tests; the fixture ``batchai_service`` is one.

    Args:
        state_dir: The folder that holds everything it knows; made when missing.

    Raises:
        ServiceStartError: The service did not start.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with BatchAIService(Path(folder)) as service:
        ...         with service.fresh() as connection:
        ...             groups = connection.resources.resource_groups
        ...             made = groups.create_or_update("mine", {"location": "eastus"})
        ...         with service.fresh() as connection:
        ...             left = list(connection.resources.resource_groups.list())
        >>> left
        []
    """

    def __init__(self, state_dir: str | os.PathLike[str]) -> None:
        self._connection = Connection.embedded(state_dir)
        self.state_dir = Path(state_dir).absolute()

    @property
    def settings(self) -> ConnectionSettings:
        """How to connect to it."""
        return self._connection.settings

    @property
    def environment(self) -> Mapping[str, str | None]:
        """The variables that make a program use it; None for those to unset.

        :meth:`~batchai_recipes.Connection.default` goes by them, in this process and in programs
        that it starts.
        """
        return {
            STATE_DIR_VARIABLE: str(self.state_dir),
            ENV_FILE_VARIABLE: None,
            "BATCHAI_ENDPOINT": None,
            PROFILE_VARIABLE: None,
            PROFILE_FILE_VARIABLE: os.devnull,  # a default profile of the user's does not count
        }

    def connect(self) -> Connection:
        """Return a new connection to the service, to be closed by the caller."""
        return Connection(self.settings, state_dir=self.state_dir)

    @contextmanager
    def fresh(self) -> Iterator[Connection]:
        """Connect for a block, and delete after it what came into being during it.

        Resource groups, with all that is in them, and file shares of the service's own storage
        account. What was there before stays, such as what a fixture of a wider scope made.

        Yields:
            A connection, closed after the block.

        Raises:
            CleanUpError: Something could not be deleted.
        """
        before = self._present()
        try:
            with self.connect() as connection:
                yield connection
        finally:
            self._delete_others(before)

    @contextmanager
    def file_share(self) -> Iterator[FileShare]:
        """Make a file share for a block.

        Yields:
            The share, empty and with a name that no other has; deleted after the block.

        Raises:
            StagingError: It could not be made.
            RequestError: It could not be deleted.
        """
        name = f"share-{secrets.token_hex(_NAME_BYTES)}"
        with self.connect() as connection:
            create_share(connection, name)
            try:
                yield FileShare(connection, name)
            finally:
                Made("file share", (name,)).delete(connection)

    def preempt(self, resource_group: str, workspace: str, cluster: str) -> None:
        """Take a node from a cluster of low priority, as a cloud does that needs it for others.

        Of its nodes, if possible, one that runs a job, which is then queued again.

        Args:
            resource_group: The resource group.
            workspace: The workspace in it.
            cluster: The cluster in the workspace.

        Raises:
            RequestError: There is no such cluster, its nodes are dedicated, or it has none.
        """
        from azure.core.exceptions import HttpResponseError  # noqa: PLC0415 - loaded on first use
        from azure.core.rest import HttpRequest  # noqa: PLC0415 - likewise

        path = (
            f"/subscriptions/{self.settings.subscription_id}/resourceGroups/{resource_group}"
            f"/providers/Microsoft.BatchAI/workspaces/{workspace}/clusters/{cluster}"
            f"/simulateEviction"
        )
        request = HttpRequest("POST", path, params={"api-version": _API_VERSION})
        # No client has a method for what is not in the contract. Its annotation is too narrow.
        send = self._connection.batchai._send_request  # noqa: SLF001 - see above
        with explained(f"preempt a node of cluster {cluster}"):
            response = send(request, stream=False)  # type: ignore[arg-type]
            if response.status_code >= 400:  # noqa: PLR2004 - where errors begin
                raise HttpResponseError(response=response)

    def close(self) -> None:
        """Stop using the service, which then stops."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _present(self) -> set[Made]:
        with explained("list what is there"):
            groups = self._connection.resources.resource_groups.list()
            shares = self._connection.files.list_shares()
            return {
                *(Made("resource group", (str(group.name),)) for group in groups),
                *(Made("file share", (str(share.name),)) for share in shares),
            }

    def _delete_others(self, before: set[Made]) -> None:
        undo = UndoStack(logger.info)
        # Unwound from the end: resource groups first, since clusters mount shares.
        for made in sorted(self._present() - before, key=lambda made: made.kind):
            undo.push(str(made), partial(made.delete, self._connection))
        failures = undo.unwind()
        if failures:
            raise clean_up_error(failures)

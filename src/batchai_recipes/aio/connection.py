"""Connection, with the packages' asynchronous clients."""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, TypeAlias, cast

from typing_extensions import Self

from batchai_recipes.aio.bridged_connection import BridgedConnection, opened
from batchai_recipes.aio.fiber import finish
from batchai_recipes.connection import Connection as Synchronous
from batchai_recipes.errors import BatchAIRecipesError
from batchai_recipes.settings import ConnectionSettings, CredentialKind
from batchai_recipes.staging.storage_account import StorageAccount

if TYPE_CHECKING:
    from azure.core import AsyncPipelineClient
    from azure.core.credentials import TokenCredential
    from azure.core.credentials_async import AsyncTokenCredential
    from azure.core.rest import AsyncHttpResponse, HttpRequest
    from azure.mgmt.batchai.aio import BatchAI
    from azure.mgmt.resource.resources.aio import ResourceManagementClient
    from azure.storage.fileshare.aio import ShareServiceClient

    _Credential: TypeAlias = AsyncTokenCredential | TokenCredential | CredentialKind | None


class Connection:
    """The asynchronous Azure clients of one endpoint, made when first used and closed together.

    Open between ``async with`` and its end, where it has what :class:`batchai_recipes.Connection`
    has. Needs the extra ``aio``.

    Args:
        settings: Which endpoint, as whom, with which storage account.
        credential: As of :class:`batchai_recipes.Connection`, or an asynchronous token credential
            of azure-core's. A synchronous one is asked for its tokens in a thread.
        state_dir: The state directory, when the endpoint is an embedded service.
        on_close: Called in a thread when the connection is closed.

    Raises:
        ConfigurationError: On entering: the settings are incomplete, or aiohttp is missing.
        ServiceStartError: On entering: the embedded service did not start.

    Example:
        >>> import asyncio, tempfile
        >>> async def main(folder):
        ...     async with Connection.embedded(Path(folder)) as connection:
        ...         return [workspace async for workspace in connection.batchai.workspaces.list()]
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     asyncio.run(main(folder))
        []
    """

    def __init__(
        self,
        settings: ConnectionSettings,
        *,
        credential: "_Credential" = None,
        state_dir: Path | None = None,
        on_close: Callable[[], None] | None = None,
    ) -> None:
        self._open: Callable[[], Synchronous] = partial(
            BridgedConnection,
            settings,
            credential=credential,
            state_dir=state_dir,
            on_close=on_close,
        )
        self._opened: BridgedConnection | None = None

    @classmethod
    def default(cls) -> "Connection":
        """Connect as :meth:`batchai_recipes.Connection.default` does."""
        return cls._of(BridgedConnection.default)

    @classmethod
    def from_environment(
        cls,
        *,
        credential: "_Credential" = None,
    ) -> "Connection":
        """Connect as :meth:`batchai_recipes.Connection.from_environment` does.

        Args:
            credential: As for :class:`Connection`.
        """
        return cls._of(partial(BridgedConnection.from_environment, credential=_plain(credential)))

    @classmethod
    def from_profile(
        cls,
        name: str | None = None,
        path: str | os.PathLike[str] | None = None,
        *,
        credential: "_Credential" = None,
    ) -> "Connection":
        """Connect as :meth:`batchai_recipes.Connection.from_profile` does.

        Args:
            name: The profile; None for the default one.
            path: The profile file; None for the user's own.
            credential: As for :class:`Connection`; None for what the profile says.
        """
        return cls._of(
            partial(BridgedConnection.from_profile, name, path, credential=_plain(credential))
        )

    @classmethod
    def embedded(cls, state_dir: str | os.PathLike[str] | None = None) -> "Connection":
        """Connect as :meth:`batchai_recipes.Connection.embedded` does.

        Args:
            state_dir: The folder that holds everything the service knows; None for the user's own.
        """
        return cls._of(partial(BridgedConnection.embedded, state_dir))

    @property
    def settings(self) -> ConnectionSettings:
        """Which endpoint, as whom, with which storage account."""
        return self._bridged.settings

    @property
    def state_dir(self) -> Path | None:
        """The state directory, when the endpoint is an embedded service."""
        return self._bridged.state_dir

    @property
    def journals(self) -> Path:
        """The folder in which sessions write down what they make; see `batchai-recipes reap`."""
        return self._bridged.journals

    @property
    def storage(self) -> StorageAccount:
        """The storage account that sessions stage files to."""
        return self.settings.storage

    @property
    def batchai(self) -> "BatchAI":
        """The asynchronous client of azure-mgmt-batchai."""
        return self._bridged.clients.batchai

    @property
    def resources(self) -> "ResourceManagementClient":
        """The asynchronous client of azure-mgmt-resource."""
        return self._bridged.clients.resources

    @property
    def files(self) -> "ShareServiceClient":
        """The asynchronous client of azure-storage-file-share, for the connection's account.

        azure-storage-file, which the synchronous half has, knows no coroutines.
        """
        return self._bridged.clients.files

    @property
    def downloads(self) -> "AsyncPipelineClient[HttpRequest, AsyncHttpResponse]":
        """An asynchronous azure-core client for download URLs."""
        return self._bridged.clients.downloads

    async def close(self) -> None:
        """Close the clients and stop using the embedded service, also when the task is cancelled.

        Without effect the second time.
        """
        bridged, self._opened = self._opened, None
        if bridged is not None:
            await finish(bridged.close)

    async def __aenter__(self) -> Self:
        if self._opened is not None:
            raise BatchAIRecipesError("This connection is open already: make another one")
        self._opened = await opened(self._open)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"aio.{self._opened!r}" if self._opened else "aio.Connection(not open)"

    @classmethod
    def _of(cls, open_it: Callable[[], Synchronous]) -> "Connection":
        connection = cls.__new__(cls)
        connection._open = open_it
        connection._opened = None
        return connection

    @property
    def _bridged(self) -> BridgedConnection:
        if self._opened is None:
            raise BatchAIRecipesError(
                "This connection is not open: use it inside of its `async with` block"
            )
        return self._opened


def _plain(credential: "_Credential") -> "TokenCredential | CredentialKind | None":
    # What only hands a credential on need not know that it may be asynchronous.
    return cast("TokenCredential | CredentialKind | None", credential)

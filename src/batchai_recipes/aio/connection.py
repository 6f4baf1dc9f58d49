"""Connection, with the packages' asynchronous clients."""

import os
from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final

from typing_extensions import Self

from batchai_recipes.aio.worker import in_thread
from batchai_recipes.connection import Connection as Synchronous
from batchai_recipes.errors import BatchAIRecipesError, ConfigurationError
from batchai_recipes.settings import ConnectionSettings, CredentialKind
from batchai_recipes.staging.storage_account import StorageAccount

if TYPE_CHECKING:
    from azure.core.credentials import AccessToken, TokenCredential
    from azure.core.credentials_async import AsyncTokenCredential
    from azure.mgmt.batchai.aio import BatchAI
    from azure.mgmt.resource.resources.aio import ResourceManagementClient

_POLLING_SECONDS: Final = 1


class Connection:
    """The asynchronous Azure clients of one endpoint, made when first used and closed together.

    Open between ``async with`` and its end; needs aiohttp (the extra ``aio``). Made like
    :class:`batchai_recipes.Connection`, whose class methods it has.

    Args:
        settings: Which endpoint, as whom, with which storage account.
        credential: As of :class:`batchai_recipes.Connection`; a credential object's tokens are
            asked for in a thread.
        state_dir: The state directory, when the endpoint is an embedded service.

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

    _opener: Callable[[], Synchronous]
    _synchronous: Synchronous | None
    _closing: AsyncExitStack
    _batchai: "BatchAI | None"
    _resources: "ResourceManagementClient | None"
    _credential: "AsyncTokenCredential | None"

    def __init__(
        self,
        settings: ConnectionSettings,
        *,
        credential: "TokenCredential | CredentialKind | None" = None,
        state_dir: Path | None = None,
    ) -> None:
        self._begin(partial(Synchronous, settings, credential=credential, state_dir=state_dir))

    @classmethod
    def default(cls) -> "Connection":
        """Connect as :meth:`batchai_recipes.Connection.default` does."""
        return cls._of(Synchronous.default)

    @classmethod
    def from_environment(
        cls, *, credential: "TokenCredential | CredentialKind | None" = None
    ) -> "Connection":
        """Connect as environment variables say.

        Args:
            credential: As for :class:`Connection`.
        """
        return cls._of(partial(Synchronous.from_environment, credential=credential))

    @classmethod
    def from_profile(
        cls,
        name: str | None = None,
        path: str | os.PathLike[str] | None = None,
        *,
        credential: "TokenCredential | CredentialKind | None" = None,
    ) -> "Connection":
        """Connect as a profile of the user's says.

        Args:
            name: The profile, as of :meth:`batchai_recipes.Connection.from_profile`.
            path: The profile file, likewise.
            credential: As for :class:`Connection`; None for what the profile says.
        """
        return cls._of(partial(Synchronous.from_profile, name, path, credential=credential))

    @classmethod
    def embedded(cls, state_dir: Path | None = None) -> "Connection":
        """Connect to the embedded service, which is started on entering where it does not run.

        Args:
            state_dir: The folder that holds everything the service knows; None for
                ``BATCHAI_RECIPES_STATE_DIR`` or the user's own place for state.
        """
        return cls._of(partial(Synchronous.embedded, state_dir))

    @property
    def synchronous(self) -> Synchronous:
        """The synchronous connection beside it, for what has no asynchronous form.

        Raises:
            BatchAIRecipesError: It has not been entered.
        """
        if self._synchronous is None:
            raise BatchAIRecipesError(
                "This connection is not open: write `async with Connection...() as connection:`"
            )
        return self._synchronous

    @property
    def settings(self) -> ConnectionSettings:
        """Which endpoint, as whom, with which storage account."""
        return self.synchronous.settings

    @property
    def state_dir(self) -> Path | None:
        """The state directory, when the endpoint is an embedded service."""
        return self.synchronous.state_dir

    @property
    def journals(self) -> Path:
        """The folder in which sessions write down what they make; see `batchai-recipes reap`."""
        return self.synchronous.journals

    @property
    def storage(self) -> StorageAccount:
        """The storage account that sessions stage files to."""
        return self.settings.storage

    @property
    def batchai(self) -> "BatchAI":
        """The asynchronous client of azure-mgmt-batchai."""
        if self._batchai is None:
            from azure.mgmt.batchai.aio import BatchAI  # noqa: PLC0415 - loaded on first use

            settings = self.settings
            self._batchai = BatchAI(
                self._token_credential(),
                settings.subscription_id,
                base_url=settings.endpoint,
                polling_interval=_POLLING_SECONDS,
                **self.synchronous._transport_options(settings.endpoint),
            )
            self._closing.push_async_callback(self._batchai.close)
        return self._batchai

    @property
    def resources(self) -> "ResourceManagementClient":
        """The asynchronous client of azure-mgmt-resource."""
        if self._resources is None:
            from azure.mgmt.resource.resources.aio import (  # noqa: PLC0415 - on first use
                ResourceManagementClient,
            )

            settings = self.settings
            self._resources = ResourceManagementClient(
                self._token_credential(),
                settings.subscription_id,
                base_url=settings.endpoint,
                polling_interval=_POLLING_SECONDS,
                **self.synchronous._transport_options(settings.endpoint),
            )
            self._closing.push_async_callback(self._resources.close)
        return self._resources

    async def close(self) -> None:
        """Close the clients and stop using the embedded service."""
        opened, self._synchronous = self._synchronous, None
        self._batchai = self._resources = self._credential = None
        try:
            await self._closing.aclose()
        finally:
            if opened is not None:
                await in_thread(opened.close)

    async def __aenter__(self) -> Self:
        try:
            import aiohttp  # noqa: F401, PLC0415 - what the clients send with
        except ImportError as error:
            raise ConfigurationError(
                "batchai_recipes.aio needs aiohttp: pip install 'batchai-recipes[aio]'"
            ) from error
        opened: list[Synchronous] = []
        try:
            await in_thread(lambda: opened.append(self._opener()))
        except BaseException:
            for connection in opened:
                await in_thread(connection.close)
            raise
        self._synchronous = opened[0]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"aio.{self._synchronous!r}" if self._synchronous else "aio.Connection(not open)"

    @classmethod
    def _of(cls, opener: Callable[[], Synchronous]) -> "Connection":
        connection = cls.__new__(cls)
        connection._begin(opener)
        return connection

    def _begin(self, opener: Callable[[], Synchronous]) -> None:
        self._opener = opener
        self._synchronous = None
        self._closing = AsyncExitStack()
        self._batchai = None
        self._resources = None
        self._credential = None

    def _token_credential(self) -> "AsyncTokenCredential":
        if self._credential is None:
            # The synchronous half asks for tokens and keeps them until they run out.
            self._credential = _ThreadCredential(self.synchronous)
        return self._credential


class _ThreadCredential:
    """The credential of a synchronous connection, asked in a thread where it has to ask."""

    def __init__(self, connection: Synchronous) -> None:
        self._connection = connection

    async def get_token(
        self,
        *scopes: str,
        claims: str | None = None,
        tenant_id: str | None = None,
        enable_cae: bool = False,
        **options: object,
    ) -> "AccessToken":
        """Ask for a token."""
        ask = partial(
            self._connection._token_credential().get_token,
            *scopes,
            claims=claims,
            tenant_id=tenant_id,
            enable_cae=enable_cae,
            **options,
        )
        return await in_thread(ask)

    async def close(self) -> None:
        """Leave it to the connection."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        await self.close()

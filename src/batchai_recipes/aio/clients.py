"""The packages' asynchronous clients of one endpoint."""

import inspect
import ssl
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, cast

from typing_extensions import Self

from batchai_recipes.aio.fiber import in_thread
from batchai_recipes.connection import Connection
from batchai_recipes.staging.storage_account import StorageAccount, is_loopback

if TYPE_CHECKING:
    from aiohttp import ClientSession
    from azure.core import AsyncPipelineClient
    from azure.core.credentials import AccessToken, TokenCredential
    from azure.core.credentials_async import AsyncTokenCredential
    from azure.core.pipeline.transport import AioHttpTransport
    from azure.core.rest import AsyncHttpResponse, HttpRequest
    from azure.mgmt.batchai.aio import BatchAI
    from azure.mgmt.resource.resources.aio import ResourceManagementClient
    from azure.storage.fileshare.aio import ShareServiceClient

_BLOCK_BYTES: Final = 1 << 20
_POLLING_SECONDS: Final = 1


class Clients:
    """Makes each client when it is first used.

    Args:
        connection: Says where, as whom and how.
        credential: A credential of the caller's own; None for what the connection says.
        closing: Told how to close what was made.
    """

    def __init__(
        self,
        connection: Connection,
        credential: "AsyncTokenCredential | TokenCredential | None",
        closing: Callable[[Callable[[], Awaitable[object]]], object],
    ) -> None:
        self._connection = connection
        self._settings = connection.settings
        self._given = credential
        self._closing = closing
        self._batchai: BatchAI | None = None
        self._resources: ResourceManagementClient | None = None
        self._files: ShareServiceClient | None = None
        self._downloads: AsyncPipelineClient[HttpRequest, AsyncHttpResponse] | None = None
        self._credential: AsyncTokenCredential | None = None
        # A proxy of the environment cannot reach this machine, so there may be two.
        self._sessions: dict[bool, ClientSession] = {}

    @property
    def batchai(self) -> "BatchAI":
        """The client of azure-mgmt-batchai."""
        if self._batchai is None:
            from azure.mgmt.batchai.aio import BatchAI  # noqa: PLC0415 - loaded on first use

            self._batchai = BatchAI(
                self._token_credential(),
                self._settings.subscription_id,
                base_url=self._settings.endpoint,
                polling_interval=_POLLING_SECONDS,
                transport=self._transport(self._settings.endpoint),
            )
            self._closing(self._batchai.close)
        return self._batchai

    @property
    def resources(self) -> "ResourceManagementClient":
        """The client of azure-mgmt-resource."""
        if self._resources is None:
            from azure.mgmt.resource.resources.aio import (  # noqa: PLC0415 - on first use
                ResourceManagementClient,
            )

            self._resources = ResourceManagementClient(
                self._token_credential(),
                self._settings.subscription_id,
                base_url=self._settings.endpoint,
                polling_interval=_POLLING_SECONDS,
                transport=self._transport(self._settings.endpoint),
            )
            self._closing(self._resources.close)
        return self._resources

    @property
    def files(self) -> "ShareServiceClient":
        """The client of azure-storage-file-share."""
        if self._files is None:
            from azure.storage.fileshare.aio import ShareServiceClient  # noqa: PLC0415 - on first use

            storage = self._connection.storage
            self._files = ShareServiceClient(
                storage.files_endpoint,
                credential=_key(storage),
                # As of the synchronous half's client: the first pause is otherwise 15 s.
                initial_backoff=1,
                increment_base=2,
                random_jitter_range=1,
                transport=self._transport(storage.files_endpoint),
            )
            self._closing(self._files.close)
        return self._files

    @property
    def downloads(self) -> "AsyncPipelineClient[HttpRequest, AsyncHttpResponse]":
        """An azure-core client for download URLs."""
        if self._downloads is None:
            from azure.core import AsyncPipelineClient  # noqa: PLC0415 - loaded on first use
            from azure.core.configuration import Configuration  # noqa: PLC0415 - likewise
            from azure.core.pipeline.policies import AsyncRetryPolicy  # noqa: PLC0415 - likewise

            endpoint = self._connection.storage.files_endpoint
            configuration: Configuration[HttpRequest, AsyncHttpResponse] = Configuration()
            configuration.retry_policy = AsyncRetryPolicy()
            self._downloads = AsyncPipelineClient(
                endpoint,
                config=configuration,
                transport=self._transport(endpoint),
            )
            self._closing(self._downloads.close)
        return self._downloads

    def _token_credential(self) -> "AsyncTokenCredential":
        if self._credential is None:
            given = self._given
            if given is None:
                self._credential = self._made()
                self._closing(self._credential.close)
            elif _is_asynchronous(given):
                self._credential = cast("AsyncTokenCredential", given)
            else:
                self._credential = _ThreadCredential(cast("TokenCredential", given))
        return self._credential

    def _made(self) -> "AsyncTokenCredential":
        from azure.identity.aio import (  # noqa: PLC0415 - loaded on first use
            ClientSecretCredential,
            DefaultAzureCredential,
        )

        connection, settings = self._connection, self._settings
        options = connection._authority_options()
        transport = self._transport(settings.authority or "")
        if connection._chosen == "default":
            return DefaultAzureCredential(**options, transport=transport)
        return ClientSecretCredential(
            settings.tenant_id or "",
            settings.client_id or "",
            settings.client_secret or "",
            **options,
            transport=transport,
        )

    def _transport(self, url: str) -> "AioHttpTransport":
        """Return what sends requests to an address, over connections that all clients share.

        A transport of azure-core's own makes a new TLS context, and so a new connection, for each
        request where a certificate authority is given.
        """
        from azure.core.pipeline.transport import AioHttpTransport  # noqa: PLC0415 - on first use

        session = self._session(trust_env=not is_loopback(url))
        return AioHttpTransport(
            session=session, session_owner=False, connection_data_block_size=_BLOCK_BYTES
        )

    def _session(self, *, trust_env: bool) -> "ClientSession":
        if trust_env not in self._sessions:
            import aiohttp  # noqa: PLC0415 - loaded on first use

            ca_file = self._settings.ca_file
            verify = ssl.create_default_context(cafile=str(ca_file)) if ca_file else True
            session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=verify),
                trust_env=trust_env,
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
            )
            self._sessions[trust_env] = session
            self._closing(session.close)
        return self._sessions[trust_env]


def _key(storage: StorageAccount) -> dict[str, str]:
    return {"account_name": storage.name, "account_key": storage.key}


def _is_asynchronous(credential: object) -> bool:
    return hasattr(credential, "__aenter__") or inspect.iscoroutinefunction(
        getattr(credential, "get_token", None)
    )


class _ThreadCredential:
    """A synchronous credential of the caller's, asked in a thread: it has no other form.

    Args:
        credential: The credential, which stays the caller's to close.
    """

    def __init__(self, credential: "TokenCredential") -> None:
        self._credential = credential

    async def get_token(self, *scopes: str, **options: Any) -> "AccessToken":
        """Ask for a token."""
        return await in_thread(self._credential.get_token, *scopes, **options)

    async def close(self) -> None:
        """Leave it to the caller."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        await self.close()

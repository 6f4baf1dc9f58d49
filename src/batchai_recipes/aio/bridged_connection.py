"""BridgedConnection: the synchronous half's connection, over the asynchronous clients."""

import asyncio
import importlib
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from attrs import evolve

from batchai_recipes.aio.bridge import Bridge, DownloadBridge
from batchai_recipes.aio.clients import Clients
from batchai_recipes.aio.fiber import finish, in_thread, wait_for
from batchai_recipes.aio.tasks import Tasks
from batchai_recipes.connection import Connection
from batchai_recipes.errors import ConfigurationError
from batchai_recipes.pacing import Pacing
from batchai_recipes.settings import ConnectionSettings, CredentialKind
from batchai_recipes.staging.file_shares import FileShares
from batchai_recipes.staging.web_file import Fetch

if TYPE_CHECKING:
    from azure.core import PipelineClient
    from azure.core.credentials import TokenCredential
    from azure.core.credentials_async import AsyncTokenCredential
    from azure.core.rest import HttpRequest, HttpResponse
    from azure.mgmt.batchai import BatchAI
    from azure.mgmt.resource.resources import ResourceManagementClient

# Loading them takes long: not while the event loop waits for it.
_LOADED_ASIDE: Final = (
    "aiohttp",
    "azure.core",
    "azure.identity.aio",
    "azure.mgmt.batchai.aio",
    "azure.mgmt.resource.resources.aio",
    "azure.storage.fileshare.aio",
    "batchai_recipes.aio.file_shares",
)


class BridgedConnection(Connection):
    """A connection that only functions use which :func:`~batchai_recipes.aio.fiber.run` runs.

    Its clients have the synchronous clients' faces, and what they ask the asynchronous ones answer.

    Args:
        settings: As of :class:`batchai_recipes.Connection`.
        credential: Likewise; an asynchronous credential too.
        state_dir: Likewise.
        on_close: Likewise; called in a thread, since the embedded service takes a while to stop.
    """

    def __init__(
        self,
        settings: ConnectionSettings,
        *,
        credential: "AsyncTokenCredential | TokenCredential | CredentialKind | None" = None,
        state_dir: Path | None = None,
        on_close: Callable[[], None] | None = None,
    ) -> None:
        own = None if credential is None or isinstance(credential, str) else credential
        super().__init__(
            settings,
            credential=cast("TokenCredential | CredentialKind | None", credential),
            state_dir=state_dir,
            on_close=(lambda: self._concurrency.aside(on_close)) if on_close else None,
        )
        self._concurrency = Tasks()
        self.clients = Clients(self, own, self._close_later)

    @property
    def batchai(self) -> "BatchAI":
        """The client of azure-mgmt-batchai."""
        self._check_open()
        return cast("BatchAI", Bridge(self.clients.batchai))

    @property
    def resources(self) -> "ResourceManagementClient":
        """The client of azure-mgmt-resource."""
        self._check_open()
        return cast("ResourceManagementClient", Bridge(self.clients.resources))

    @property
    def downloads(self) -> "PipelineClient[HttpRequest, HttpResponse]":
        """The client for download URLs."""
        self._check_open()
        bridge = DownloadBridge(self.clients.downloads)
        return cast("PipelineClient[HttpRequest, HttpResponse]", bridge)

    def _shares(self) -> FileShares:
        from batchai_recipes.aio.file_shares import AccountShares  # noqa: PLC0415 - on first use

        self._check_open()
        return AccountShares(self.clients.files)

    def _fetch(self) -> Fetch:
        from batchai_recipes.aio.web_fetch import fetch  # noqa: PLC0415 - loaded on first use

        return fetch

    def _close_later(self, close: Callable[[], Awaitable[object]]) -> None:
        self._closing.callback(wait_for, close)


async def opened(open_it: Callable[[], Connection]) -> BridgedConnection:
    """Open a connection in a thread, since an embedded service takes a while to start.

    Args:
        open_it: Opens it; a class method of :class:`BridgedConnection`.

    Raises:
        ConfigurationError: The settings are incomplete, or aiohttp is missing.
        ServiceStartError: The embedded service did not start.
    """
    opened: list[BridgedConnection] = []

    def work() -> None:
        try:
            for name in _LOADED_ASIDE:
                importlib.import_module(name)
        except ImportError as error:
            raise ConfigurationError(
                "batchai_recipes.aio needs aiohttp: pip install 'batchai-recipes[aio]'"
            ) from error
        opened.append(cast(BridgedConnection, open_it()))

    try:
        await in_thread(work)
    except BaseException:
        for connection in opened:  # the task was cancelled meanwhile
            await finish(connection.close)
        raise
    return opened[0]


def paced(pacing: Pacing | None) -> Pacing:
    """Return a pacing whose waits are the event loop's, unless somebody else waits for it.

    Args:
        pacing: The pacing; None for the ordinary one.
    """
    given = pacing or Pacing()
    return evolve(given, sleep=_sleep) if given.sleep is time.sleep else given


def _sleep(seconds: float) -> None:
    wait_for(lambda: asyncio.sleep(seconds))

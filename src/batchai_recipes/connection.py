"""Connection: which endpoint, which credential, which account; the Azure clients, lazily."""

import os
from collections.abc import Callable
from contextlib import ExitStack
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final, TypedDict
from urllib.parse import urlsplit

from typing_extensions import Self

from batchai_recipes.builders.admin_user import AdminUser
from batchai_recipes.errors import ServiceStartError
from batchai_recipes.service.address import ServiceAddress
from batchai_recipes.service.launcher import LaunchError, LocalService
from batchai_recipes.settings import (
    ENV_FILE_VARIABLE,
    ConnectionSettings,
    default_state_dir,
    journals_of,
)
from batchai_recipes.staging.storage_account import StorageAccount

if TYPE_CHECKING:
    from azure.core import PipelineClient
    from azure.core.rest import HttpRequest, HttpResponse
    from azure.identity import ClientSecretCredential
    from azure.mgmt.batchai import BatchAI
    from azure.mgmt.resource.resources import ResourceManagementClient
    from azure.storage.file import FileService
    from requests import Response

# The packages read 4 KiB at a time, which costs large downloads most of their rate.
_BLOCK_BYTES: Final = 1 << 20
_POLLING_SECONDS: Final = 1
_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})


class _TransportOptions(TypedDict, total=False):
    connection_verify: str
    use_env_settings: bool


class Connection:
    """The Azure clients of one endpoint, made when first used and closed together.

    Args:
        settings: Which endpoint, as whom, with which storage account.
        state_dir: The state directory, when the endpoint is an embedded service.
        on_close: Called when the connection is closed.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with Connection.embedded(Path(folder)) as connection:
        ...         workspaces = list(connection.batchai.workspaces.list())
        >>> workspaces
        []
    """

    def __init__(
        self,
        settings: ConnectionSettings,
        *,
        state_dir: Path | None = None,
        on_close: Callable[[], None] | None = None,
    ) -> None:
        self.settings = settings
        self.state_dir = state_dir
        self._closing = ExitStack()
        if on_close:
            self._closing.callback(on_close)
        self._batchai: BatchAI | None = None
        self._resources: ResourceManagementClient | None = None
        self._files: FileService | None = None
        self._downloads: PipelineClient[HttpRequest, HttpResponse] | None = None
        self._credential: ClientSecretCredential | None = None

    @classmethod
    def default(cls) -> "Connection":
        """Connect as the environment says, else to the embedded service.

        ``BATCHAI_RECIPES_ENV_FILE`` names a settings file; without it ``BATCHAI_ENDPOINT`` and the
        variables beside it are read; with neither, the embedded service is started.

        Raises:
            ConfigurationError: The settings are incomplete.
            ServiceStartError: The embedded service did not start.
        """
        env_file = os.environ.get(ENV_FILE_VARIABLE)
        if env_file:
            return cls(ConnectionSettings.from_file(env_file))
        settings = ConnectionSettings.from_environment()
        return cls(settings) if settings else cls.embedded()

    @classmethod
    def embedded(cls, state_dir: Path | None = None) -> "Connection":
        """Connect to the embedded service, starting it where it does not run yet.

        Args:
            state_dir: The folder that holds everything the service knows; None for
                ``BATCHAI_RECIPES_STATE_DIR`` or the user's own place for state.

        Raises:
            ServiceStartError: The service did not start.
        """
        try:
            state_dir = (state_dir or default_state_dir()).absolute()
            service = LocalService(state_dir)
        except LaunchError as error:
            raise ServiceStartError(str(error)) from error
        settings = _settings_of(service.address)
        return cls(settings, state_dir=state_dir, on_close=service.close)

    @property
    def journals(self) -> Path:
        """The folder in which sessions write down what they make; see `batchai-recipes reap`."""
        return journals_of(self.state_dir or default_state_dir())

    @property
    def storage(self) -> StorageAccount:
        """The storage account that sessions stage files to."""
        return self.settings.storage

    @property
    def batchai(self) -> "BatchAI":
        """The client of azure-mgmt-batchai."""
        if self._batchai is None:
            from azure.mgmt.batchai import BatchAI  # noqa: PLC0415 - loaded on first use

            self._batchai = BatchAI(
                self._token_credential(),
                self.settings.subscription_id,
                base_url=self.settings.endpoint,
                polling_interval=_POLLING_SECONDS,
                **self._transport_options(self.settings.endpoint),
            )
            self._closing.callback(self._batchai.close)
        return self._batchai

    @property
    def resources(self) -> "ResourceManagementClient":
        """The client of azure-mgmt-resource."""
        if self._resources is None:
            from azure.mgmt.resource.resources import (  # noqa: PLC0415
                ResourceManagementClient,
            )

            self._resources = ResourceManagementClient(
                self._token_credential(),
                self.settings.subscription_id,
                base_url=self.settings.endpoint,
                polling_interval=_POLLING_SECONDS,
                **self._transport_options(self.settings.endpoint),
            )
            self._closing.callback(self._resources.close)
        return self._resources

    @property
    def files(self) -> "FileService":
        """The client of azure-storage-file, for the connection's storage account."""
        if self._files is None:
            import requests  # noqa: PLC0415 - loaded on first use
            from azure.storage.common.retry import ExponentialRetry  # noqa: PLC0415 - likewise
            from azure.storage.file import FileService  # noqa: PLC0415 - likewise

            from batchai_recipes.staging.loopback_session import (  # noqa: PLC0415 - likewise
                LoopbackSession,
            )

            endpoint = self.storage.files_endpoint
            session: requests.Session
            if endpoint.startswith("http:") and _is_loopback(endpoint):
                session = LoopbackSession(endpoint)
            else:
                session = requests.Session()
                session.trust_env = not _is_loopback(endpoint)
                if self.settings.ca_file:
                    session.verify = str(self.settings.ca_file)
            session.hooks["response"].append(_with_error_code)
            self._files = FileService(
                connection_string=self.storage.connection_string, request_session=session
            )
            # The client's own first pause is 15 s, made for the cloud's rare throttling.
            self._files.retry = ExponentialRetry(
                initial_backoff=1, increment_base=2, random_jitter_range=1
            ).retry
            self._closing.callback(session.close)
        return self._files

    @property
    def downloads(self) -> "PipelineClient[HttpRequest, HttpResponse]":
        """An azure-core client for download URLs, which carry their own signature."""
        if self._downloads is None:
            from azure.core import PipelineClient  # noqa: PLC0415 - loaded on first use
            from azure.core.configuration import Configuration  # noqa: PLC0415 - likewise
            from azure.core.pipeline.policies import RetryPolicy  # noqa: PLC0415 - likewise

            endpoint = self.storage.files_endpoint
            # A bare client would not retry, unlike those of the management packages.
            configuration: Configuration[HttpRequest, HttpResponse] = Configuration()
            configuration.retry_policy = RetryPolicy()
            self._downloads = PipelineClient(
                endpoint,
                config=configuration,
                connection_data_block_size=_BLOCK_BYTES,
                **self._transport_options(endpoint),
            )
            self._closing.callback(self._downloads.close)
        return self._downloads

    def close(self) -> None:
        """Close the clients and stop using the embedded service."""
        self._closing.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Connection({self.settings!r})"

    def _token_credential(self) -> "ClientSecretCredential":
        if self._credential is None:
            from azure.identity import ClientSecretCredential  # noqa: PLC0415 - on first use

            settings = self.settings
            authority = settings.authority
            self._credential = ClientSecretCredential(
                settings.tenant_id,
                settings.client_id,
                settings.client_secret,
                **({"authority": authority} if authority else {}),
                # Only Microsoft's own authorities are known to Microsoft's discovery.
                disable_instance_discovery=authority is not None,
                **self._transport_options(authority or ""),
            )
            self._closing.callback(self._credential.close)
        return self._credential

    def _transport_options(self, url: str) -> _TransportOptions:
        options = _TransportOptions()
        if self.settings.ca_file:
            options["connection_verify"] = str(self.settings.ca_file)
        if _is_loopback(url):
            options["use_env_settings"] = False  # as for `files`
        return options


def _with_error_code(response: "Response", *_: object, **__: object) -> None:
    # The client looks in each refusal for the service's code and fails with a TypeError where a
    # proxy's or a gateway's has none.
    if response.status_code >= HTTPStatus.MULTIPLE_CHOICES:
        response.headers.setdefault("x-ms-error-code", "Unknown")


def _is_loopback(url: str) -> bool:
    return urlsplit(url).hostname in _LOOPBACK


def _settings_of(address: ServiceAddress) -> ConnectionSettings:
    return ConnectionSettings(
        endpoint=address.endpoint,
        tenant_id=address.tenant_id,
        client_id=address.client_id,
        client_secret=address.client_secret,
        subscription_id=address.subscription_id,
        storage=StorageAccount(address.account_name, address.account_key, address.files_endpoint),
        authority=address.endpoint,
        ca_file=Path(address.ca_file),
        admin=AdminUser.generated(),
    )

"""Connection: which endpoint, which credential, which account; the Azure clients, lazily."""

import logging
import os
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final, TypedDict

from attrs import evolve
from typing_extensions import Self

from batchai_recipes.builders.admin_user import AdminUser
from batchai_recipes.concurrency import Concurrency, Threads
from batchai_recipes.errors import BatchAIRecipesError, ConfigurationError, ServiceStartError
from batchai_recipes.profiles import Profile, configured, read_profile
from batchai_recipes.service.address import ServiceAddress
from batchai_recipes.service.launcher import LaunchError, LocalService
from batchai_recipes.settings import (
    ConnectionSettings,
    CredentialKind,
    checked_credential_kind,
    default_state_dir,
    journals_of,
)
from batchai_recipes.staging.storage_account import StorageAccount, is_loopback
from batchai_recipes.staging.web_file import Fetch, fetch

if TYPE_CHECKING:
    from azure.core import PipelineClient
    from azure.core.credentials import TokenCredential
    from azure.core.rest import HttpRequest, HttpResponse
    from azure.identity import ClientSecretCredential, DefaultAzureCredential
    from azure.mgmt.batchai import BatchAI
    from azure.mgmt.resource.resources import ResourceManagementClient
    from azure.storage.file import FileService

    from batchai_recipes.staging.file_shares import FileShares

_LOG: Final = logging.getLogger("batchai_recipes.connection")
# The packages read 4 KiB at a time, which costs large downloads most of their rate.
_BLOCK_BYTES: Final = 1 << 20
_POLLING_SECONDS: Final = 1


class _TransportOptions(TypedDict, total=False):
    connection_verify: str
    use_env_settings: bool


class _AuthorityOptions(TypedDict, total=False):
    authority: str
    disable_instance_discovery: bool


class Connection:
    """The Azure clients of one endpoint, made when first used and closed together.

    May be used from several threads.

    Args:
        settings: Which endpoint, as whom, with which storage account.
        credential: ``client_secret`` for the settings' service principal, ``default`` for
            azure-identity's ``DefaultAzureCredential`` (the environment, a managed identity, `az
            login` and others in turn), or a token credential of azure-core's, which stays the
            caller's to close; None for what the settings say.
        state_dir: The state directory, when the endpoint is an embedded service.
        on_close: Called when the connection is closed.

    Raises:
        ConfigurationError: The settings lack the service principal, or name a certificate
            authority's file that is not there.

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
        credential: "TokenCredential | CredentialKind | None" = None,
        state_dir: Path | None = None,
        on_close: Callable[[], None] | None = None,
    ) -> None:
        # What a cluster needs though nobody may want to log in to its nodes.
        self.settings = (
            settings if settings.admin else evolve(settings, admin=AdminUser.generated())
        )
        self.state_dir = state_dir
        chosen = settings.credential if credential is None else credential
        self._chosen = checked_credential_kind(chosen) if isinstance(chosen, str) else chosen
        _check(settings, self._chosen)
        self._closing = ExitStack()
        if on_close:
            self._closing.callback(on_close)
        self._lock = threading.RLock()
        self._closed = False
        self._concurrency: Concurrency = Threads()
        self._batchai: BatchAI | None = None
        self._resources: ResourceManagementClient | None = None
        self._files: FileService | None = None
        self._downloads: PipelineClient[HttpRequest, HttpResponse] | None = None
        self._credential: TokenCredential | None = None

    @classmethod
    def default(cls) -> "Connection":
        """Connect as the environment or the user's profiles say, else to the embedded service.

        The first of these that is set counts: the settings file that ``BATCHAI_RECIPES_ENV_FILE``
        names, the profile that ``BATCHAI_RECIPES_PROFILE`` names, ``BATCHAI_ENDPOINT`` with the
        variables beside it, the ``default`` of the profile file. With none of them, the embedded
        service is started.

        Raises:
            ConfigurationError: The settings are incomplete or wrong.
            ServiceStartError: The embedded service did not start.
        """
        return cls._of(configured() or Profile(None, None))

    @classmethod
    def from_environment(
        cls, *, credential: "TokenCredential | CredentialKind | None" = None
    ) -> "Connection":
        """Connect as environment variables say; see :meth:`ConnectionSettings.from_environment`.

        Args:
            credential: As for :class:`Connection`.

        Raises:
            ConfigurationError: ``BATCHAI_ENDPOINT`` or others are not set.
        """
        settings = ConnectionSettings.from_environment(credential=_kind(credential))
        if settings is None:
            raise ConfigurationError(
                "BATCHAI_ENDPOINT is not set: set it to the management plane's URL, or use "
                "Connection.embedded()"
            )
        return cls(settings, credential=credential)

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
            name: The profile; None for the one that ``BATCHAI_RECIPES_PROFILE`` names, else the
                file's ``default``, else the only one.
            path: The profile file; None for the one that ``BATCHAI_RECIPES_PROFILE_FILE`` names,
                else ``profiles.toml`` in the user's own place for configuration.
            credential: As for :class:`Connection`; None for what the profile says.

        Raises:
            ConfigurationError: The file or the profile is missing or wrong.
            ServiceStartError: The profile is of the embedded service, which did not start.
        """
        return cls._of(read_profile(name, path, credential=_kind(credential)), credential)

    @classmethod
    def embedded(cls, state_dir: str | os.PathLike[str] | None = None) -> "Connection":
        """Connect to the embedded service, starting it where it does not run yet.

        Args:
            state_dir: The folder that holds everything the service knows; None for
                ``BATCHAI_RECIPES_STATE_DIR`` or the user's own place for state.

        Raises:
            ServiceStartError: The service did not start.
        """
        try:
            folder = Path(state_dir or default_state_dir()).absolute()
            service = LocalService(folder)
        except LaunchError as error:
            raise ServiceStartError(str(error)) from error
        try:
            settings = _settings_of(service.address)
            return cls(settings, state_dir=folder, on_close=service.close)
        except BaseException:
            service.close()
            raise

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
        with self._lock:
            self._check_open()
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
        with self._lock:
            self._check_open()
            if self._resources is None:
                from azure.mgmt.resource.resources import (  # noqa: PLC0415 - loaded on first use
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
        with self._lock:
            self._check_open()
            if self._files is None:
                from batchai_recipes.staging.file_client import file_client  # noqa: PLC0415 - likewise

                self._files, close = file_client(self.storage, self.settings.ca_file)
                self._closing.callback(close)
            return self._files

    @property
    def downloads(self) -> "PipelineClient[HttpRequest, HttpResponse]":
        """An azure-core client for download URLs, which carry their own signature."""
        with self._lock:
            self._check_open()
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
        """Close the clients and stop using the embedded service; without effect the second time."""
        with self._lock:
            self._closed = True
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

    @classmethod
    def _of(
        cls, profile: Profile, credential: "TokenCredential | CredentialKind | None" = None
    ) -> "Connection":
        if profile.settings is None:
            if credential is not None:
                raise ConfigurationError("The embedded service takes no other credential")
            return cls.embedded(profile.state_dir)
        return cls(profile.settings, credential=credential)

    def _shares(self) -> "FileShares":
        from batchai_recipes.staging.file_shares import AccountShares  # noqa: PLC0415 - likewise

        return AccountShares(self.files)

    def _fetch(self) -> Fetch:
        return fetch

    def _check_open(self) -> None:
        if self._closed:
            raise BatchAIRecipesError(
                "This connection is closed, as a session's own is when its block has ended: make a "
                "new one, or use it inside of its `with` block"
            )

    def _token_credential(self) -> "TokenCredential":
        if self._credential is None:
            if not isinstance(self._chosen, str):
                self._credential = self._chosen
                return self._credential
            kind, place = self._chosen, self.settings.authority or "Azure's public authority"
            _LOG.debug("Signing in with the credential %r at %s", kind, place)
            try:
                made = self._client_secret() if kind == "client_secret" else self._default_chain()
            except ValueError as error:  # of azure-identity, for an id that cannot be one
                raise ConfigurationError(
                    f"The credential cannot be made: {error} (check AZURE_TENANT_ID, "
                    f"AZURE_CLIENT_ID and AZURE_CLIENT_SECRET)"
                ) from error
            self._credential = made
            self._closing.callback(made.close)
        return self._credential

    def _client_secret(self) -> "ClientSecretCredential":
        from azure.identity import ClientSecretCredential  # noqa: PLC0415 - on first use

        settings = self.settings
        return ClientSecretCredential(
            settings.tenant_id or "",
            settings.client_id or "",
            settings.client_secret or "",
            **self._authority_options(),
            **self._transport_options(settings.authority or ""),
        )

    def _default_chain(self) -> "DefaultAzureCredential":
        from azure.identity import DefaultAzureCredential  # noqa: PLC0415 - on first use

        return DefaultAzureCredential(
            **self._authority_options(), **self._transport_options(self.settings.authority or "")
        )

    def _authority_options(self) -> _AuthorityOptions:
        authority = self.settings.authority
        # Only Microsoft's own authorities are known to Microsoft's discovery.
        options = _AuthorityOptions(disable_instance_discovery=authority is not None)
        if authority:
            options["authority"] = authority
        return options

    def _transport_options(self, url: str) -> _TransportOptions:
        options = _TransportOptions()
        if self.settings.ca_file:
            options["connection_verify"] = str(self.settings.ca_file)
        if is_loopback(url):
            options["use_env_settings"] = False  # as for `files`
        return options


def _kind(credential: "TokenCredential | CredentialKind | None") -> CredentialKind | None:
    """Return which settings a credential needs: one that is given needs none of its own."""
    if credential is None:
        return None
    return checked_credential_kind(credential) if isinstance(credential, str) else "default"


def _check(settings: ConnectionSettings, credential: "TokenCredential | CredentialKind") -> None:
    if credential == "client_secret":
        names = ("tenant_id", "client_id", "client_secret")
        missing = [name for name in names if not getattr(settings, name)]
        if missing:
            raise ConfigurationError(
                f"The settings lack {', '.join(missing)}: give them, or another credential"
            )
    if settings.ca_file and not settings.ca_file.is_file():
        raise ConfigurationError(
            f"The certificate authority's file {settings.ca_file} is not there: name a PEM file"
        )


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
    )

"""Which service to talk to, as whom, and with which storage account: plain data, from outside."""

import os
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, Literal, TypeAlias

import platformdirs
from attrs import field, frozen

from batchai_recipes.builders.admin_user import AdminUser
from batchai_recipes.errors import ConfigurationError
from batchai_recipes.names import nearest
from batchai_recipes.staging.storage_account import StorageAccount, checked_key

APPLICATION: Final = "batchai-recipes"
DEFAULT_LOCATION: Final = "eastus"
ENV_FILE_VARIABLE: Final = "BATCHAI_RECIPES_ENV_FILE"
STATE_DIR_VARIABLE: Final = "BATCHAI_RECIPES_STATE_DIR"

CredentialKind: TypeAlias = Literal["client_secret", "default"]
"""``client_secret`` for a service principal, ``default`` for azure-identity's default chain."""

CREDENTIAL_KINDS: Final[tuple[CredentialKind, ...]] = ("client_secret", "default")

VARIABLES: Final[Mapping[str, str]] = {
    "endpoint": "BATCHAI_ENDPOINT",
    "subscription_id": "AZURE_SUBSCRIPTION_ID",
    "tenant_id": "AZURE_TENANT_ID",
    "client_id": "AZURE_CLIENT_ID",
    "client_secret": "AZURE_CLIENT_SECRET",
    "credential": "BATCHAI_CREDENTIAL",
    "authority": "AZURE_AUTHORITY_HOST",
    "ca_file": "BATCHAI_CA_FILE",
    "location": "AZURE_DEFAULTS_LOCATION",
    "resource_group": "AZURE_DEFAULTS_GROUP",
    "storage.account": "AZURE_STORAGE_ACCOUNT",
    "storage.key": "AZURE_STORAGE_KEY",
    "storage.endpoint": "BATCHAI_FILES_ENDPOINT",
    "storage.connection_string": "AZURE_STORAGE_CONNECTION_STRING",
    "admin.user": "BATCHAI_ADMIN_USER",
    "admin.ssh_public_key": "BATCHAI_ADMIN_SSH_PUBLIC_KEY",
    "admin.password": "BATCHAI_ADMIN_PASSWORD",
}
"""Each setting, as profiles name it, and its environment variable."""

_PRINCIPAL: Final = ("tenant_id", "client_id", "client_secret")


def _optional_path(path: str | os.PathLike[str] | None) -> Path | None:
    return None if path is None else Path(path)


@frozen
class ConnectionSettings:
    """Everything that is needed to talk to one Batch AI endpoint.

    Args:
        endpoint: The management plane's URL.
        tenant_id: The tenant of the service principal; None with another credential than it.
        client_id: The service principal; None likewise.
        client_secret: Its secret; never shown; None likewise.
        subscription_id: The subscription to work in.
        storage: The storage account that sessions stage files to.
        authority: Where tokens come from; None for Azure's public one.
        ca_file: The certificate authority to trust (PEM); None for the system's own.
        location: The Azure location to work in where a session names none.
        admin: The admin user of clusters that name none; None for one of each connection's own
            with a random password, for nodes that nobody logs in to.
        resource_group: The resource group of sessions that name none; None for one of each
            session's own.
        credential: ``client_secret`` for the service principal, ``default`` for azure-identity's
            ``DefaultAzureCredential``.

    Raises:
        ConfigurationError: From :meth:`from_environment` and :meth:`from_file`: a setting is
            missing.

    Example:
        >>> from batchai_recipes import StorageAccount
        >>> settings = ConnectionSettings(
        ...     endpoint="https://batchai.example.org",
        ...     tenant_id="11111111-1111-1111-1111-111111111111",
        ...     client_id="client",
        ...     client_secret="never shown",
        ...     subscription_id="22222222-2222-2222-2222-222222222222",
        ...     storage=StorageAccount("demo", "a2V5", "https://files.example.org/demo"),
        ... )
        >>> settings.location
        'eastus'
        >>> "never shown" in repr(settings)
        False
    """

    endpoint: str
    tenant_id: str | None
    client_id: str | None
    client_secret: str | None = field(repr=False)
    subscription_id: str
    storage: StorageAccount
    authority: str | None = None
    ca_file: Path | None = field(default=None, converter=_optional_path)
    location: str = DEFAULT_LOCATION
    admin: AdminUser | None = None
    resource_group: str | None = None
    credential: CredentialKind = "client_secret"

    @classmethod
    def from_environment(
        cls,
        environment: Mapping[str, str] | None = None,
        *,
        credential: CredentialKind | None = None,
    ) -> "ConnectionSettings | None":
        """Read the settings from environment variables.

        The names are those of azure-identity and the Azure CLI, beside ``BATCHAI_ENDPOINT``,
        ``BATCHAI_CA_FILE`` and ``BATCHAI_FILES_ENDPOINT``: the ones that
        ``batchai-recipes serve --env-file`` writes. ``AZURE_STORAGE_CONNECTION_STRING`` may stand
        for the storage account's name and key. ``AZURE_DEFAULTS_LOCATION``,
        ``AZURE_DEFAULTS_GROUP``, ``BATCHAI_CREDENTIAL``, ``BATCHAI_ADMIN_USER`` and
        ``BATCHAI_ADMIN_SSH_PUBLIC_KEY`` or ``BATCHAI_ADMIN_PASSWORD`` may be set beside them.

        Args:
            environment: The variables; None for this process's own.
            credential: ``client_secret`` or ``default``; None for what ``BATCHAI_CREDENTIAL``
                says, else ``client_secret``. With ``default`` the variables of a service principal
                may be missing.

        Returns:
            The settings, or None when ``BATCHAI_ENDPOINT`` is not set.

        Raises:
            ConfigurationError: ``BATCHAI_ENDPOINT`` is set and others are missing.

        Example:
            >>> ConnectionSettings.from_environment({}) is None
            True
        """
        variables = os.environ if environment is None else environment
        if not variables.get("BATCHAI_ENDPOINT"):
            return None
        values = {key: variables[name] for key, name in VARIABLES.items() if variables.get(name)}
        bundle = variables.get("REQUESTS_CA_BUNDLE")
        if bundle:
            values.setdefault("ca_file", bundle)
        if credential:
            values["credential"] = credential
        return cls.from_values(
            values,
            VARIABLES.__getitem__,
            "BATCHAI_ENDPOINT is set but {missing} {are} not: set all, or unset BATCHAI_ENDPOINT "
            "to use the embedded service",
        )

    @classmethod
    def from_values(
        cls, values: Mapping[str, str], label: Callable[[str], str], incomplete: str
    ) -> "ConnectionSettings":
        """Make settings of texts.

        Args:
            values: The texts by the names of `VARIABLES`; none is empty.
            label: Says what to call a setting in messages.
            incomplete: What to say when some are missing, with ``{missing}`` and ``{are}``.

        Raises:
            ConfigurationError: A setting is missing or wrong.
        """
        credential = checked_credential_kind(values.get("credential", "client_secret"))
        required = ["endpoint", "subscription_id"]
        required += _PRINCIPAL if credential == "client_secret" else ()
        if "storage.connection_string" not in values or "storage.account" in values:
            required += ["storage.account", "storage.key"]
        missing = [label(key) for key in required if key not in values]
        if missing:
            are = "is" if len(missing) == 1 else "are"
            raise ConfigurationError(incomplete.format(missing=", ".join(missing), are=are))
        endpoint = values["endpoint"].rstrip("/")
        if not endpoint.startswith("https://"):
            raise ConfigurationError(
                f"{label('endpoint')} is {endpoint!r}: use a URL that begins with https://, since "
                f"Azure's clients send no token otherwise"
            )
        ca_file = values.get("ca_file")
        return cls(
            endpoint=endpoint,
            tenant_id=values.get("tenant_id"),
            client_id=values.get("client_id"),
            client_secret=values.get("client_secret"),
            subscription_id=values["subscription_id"],
            storage=_storage(values),
            authority=values.get("authority"),
            ca_file=Path(ca_file).expanduser() if ca_file else None,
            location=values.get("location", DEFAULT_LOCATION),
            admin=_admin_user(values),
            resource_group=values.get("resource_group"),
            credential=credential,
        )

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> "ConnectionSettings":
        """Read the settings from a file of shell assignments, ``NAME=value``, one a line.

        Args:
            path: The file, such as one that ``batchai-recipes serve --env-file`` wrote.

        Raises:
            ConfigurationError: The file is missing, is no such file, or lacks a setting.
        """
        variables = read_env_file(Path(path))
        settings = cls.from_environment(variables)
        if settings is None:
            raise ConfigurationError(f"{path} does not set BATCHAI_ENDPOINT")
        return settings


def checked_credential_kind(kind: str) -> CredentialKind:
    """Return the name of a way to sign in, if it is one.

    Args:
        kind: The name.

    Raises:
        ConfigurationError: It is none; the message names the nearest.

    Example:
        >>> checked_credential_kind("default")
        'default'
    """
    if kind not in CREDENTIAL_KINDS:
        raise ConfigurationError(
            f"{kind!r} is no kind of credential: {nearest(kind, CREDENTIAL_KINDS)}"
        )
    return kind


def _storage(values: Mapping[str, str]) -> StorageAccount:
    account, endpoint = values.get("storage.account"), values.get("storage.endpoint")
    if account is None:
        return StorageAccount.from_connection_string(
            values["storage.connection_string"], files_endpoint=endpoint
        )
    endpoint = endpoint or f"https://{account}.file.core.windows.net"
    return StorageAccount(account, checked_key(values["storage.key"], account), endpoint)


def _admin_user(values: Mapping[str, str]) -> AdminUser | None:
    name = values.get("admin.user")
    if not name:
        return None
    return AdminUser.checked(
        name,
        ssh_public_key=values.get("admin.ssh_public_key"),
        password=values.get("admin.password"),
    )


def read_env_file(path: Path) -> dict[str, str]:
    """Read a file of shell assignments.

    Args:
        path: The file; empty lines, comments and a leading ``export`` are allowed.

    Raises:
        ConfigurationError: The file cannot be read, or a line is no assignment; its number is
            named, never its content, which may be a secret.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ConfigurationError(f"The settings file {path} cannot be read: {reason}") from error
    variables: dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        try:
            words = shlex.split(line, comments=True)
        except ValueError:
            words = [""]
        if words[:1] == ["export"]:
            words = words[1:]
        if not words:
            continue
        name, equals, value = words[0].partition("=")
        if len(words) != 1 or not equals or not name.isidentifier():
            raise ConfigurationError(f"{path}, line {number}, is not of the form NAME=value")
        variables[name] = value
    return variables


def default_state_dir(environment: Mapping[str, str] | None = None) -> Path:
    """Return the state directory of the embedded service.

    Args:
        environment: The variables that may name another; None for this process's own.

    Returns:
        ``BATCHAI_RECIPES_STATE_DIR`` where it is set, else the user's own place for state.
    """
    variables = os.environ if environment is None else environment
    named = variables.get(STATE_DIR_VARIABLE)
    return Path(named) if named else platformdirs.user_state_path(APPLICATION) / "service"


def journals_of(state_dir: Path) -> Path:
    """Return where sessions that use a state directory keep their journals.

    Args:
        state_dir: The state directory.
    """
    return state_dir / "sessions"


def runs_of(state_dir: Path) -> Path:
    """Return where sessions that use a state directory leave their run folders.

    Args:
        state_dir: The state directory.
    """
    return state_dir / "runs"

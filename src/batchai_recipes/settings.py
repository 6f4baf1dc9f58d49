"""Which service to talk to, as whom, and with which storage account: plain data, from outside."""

import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import platformdirs
from attrs import field, frozen

from batchai_recipes.builders.admin_user import AdminUser
from batchai_recipes.errors import ConfigurationError
from batchai_recipes.staging.storage_account import StorageAccount

APPLICATION: Final = "batchai-recipes"
DEFAULT_LOCATION: Final = "eastus"
ENV_FILE_VARIABLE: Final = "BATCHAI_RECIPES_ENV_FILE"
STATE_DIR_VARIABLE: Final = "BATCHAI_RECIPES_STATE_DIR"

_REQUIRED: Final = (
    "BATCHAI_ENDPOINT",
    "AZURE_TENANT_ID",
    "AZURE_CLIENT_ID",
    "AZURE_CLIENT_SECRET",
    "AZURE_SUBSCRIPTION_ID",
    "AZURE_STORAGE_ACCOUNT",
    "AZURE_STORAGE_KEY",
)


@frozen
class ConnectionSettings:
    """Everything that is needed to talk to one Batch AI endpoint.

    Args:
        endpoint: The management plane's URL.
        tenant_id: The tenant of the service principal.
        client_id: The service principal.
        client_secret: Its secret; never shown.
        subscription_id: The subscription to work in.
        storage: The storage account that sessions stage files to.
        authority: Where tokens come from; None for Azure's public one.
        ca_file: The certificate authority to trust (PEM); None for the system's own.
        location: The Azure location to work in where a session names none.
        admin: The admin user of clusters that name none.

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
    tenant_id: str
    client_id: str
    client_secret: str = field(repr=False)
    subscription_id: str
    storage: StorageAccount
    authority: str | None = None
    ca_file: Path | None = None
    location: str = DEFAULT_LOCATION
    admin: AdminUser | None = None

    @classmethod
    def from_environment(
        cls, environment: Mapping[str, str] | None = None
    ) -> "ConnectionSettings | None":
        """Read the settings from environment variables.

        The names are those of azure-identity and the Azure CLI, beside ``BATCHAI_ENDPOINT``,
        ``BATCHAI_CA_FILE`` and ``BATCHAI_FILES_ENDPOINT``: the ones that
        ``batchai-recipes serve --env-file`` writes. ``AZURE_DEFAULTS_LOCATION``,
        ``BATCHAI_ADMIN_USER`` and ``BATCHAI_ADMIN_SSH_PUBLIC_KEY`` or ``BATCHAI_ADMIN_PASSWORD``
        may be set beside them.

        Args:
            environment: The variables; None for this process's own.

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
        missing = [name for name in _REQUIRED if not variables.get(name)]
        if missing:
            raise ConfigurationError(
                f"BATCHAI_ENDPOINT is set but {', '.join(missing)} "
                f"{'is' if len(missing) == 1 else 'are'} not: set all, or unset BATCHAI_ENDPOINT "
                f"to use the embedded service"
            )
        account = variables["AZURE_STORAGE_ACCOUNT"]
        ca_file = variables.get("BATCHAI_CA_FILE") or variables.get("REQUESTS_CA_BUNDLE")
        return cls(
            endpoint=variables["BATCHAI_ENDPOINT"].rstrip("/"),
            tenant_id=variables["AZURE_TENANT_ID"],
            client_id=variables["AZURE_CLIENT_ID"],
            client_secret=variables["AZURE_CLIENT_SECRET"],
            subscription_id=variables["AZURE_SUBSCRIPTION_ID"],
            storage=StorageAccount(
                account,
                variables["AZURE_STORAGE_KEY"],
                variables.get("BATCHAI_FILES_ENDPOINT")
                or f"https://{account}.file.core.windows.net",
            ),
            authority=variables.get("AZURE_AUTHORITY_HOST") or None,
            ca_file=Path(ca_file) if ca_file else None,
            location=variables.get("AZURE_DEFAULTS_LOCATION") or DEFAULT_LOCATION,
            admin=_admin_user(variables),
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


def _admin_user(variables: Mapping[str, str]) -> AdminUser | None:
    name = variables.get("BATCHAI_ADMIN_USER")
    if not name:
        return None
    return AdminUser.checked(
        name,
        ssh_public_key=variables.get("BATCHAI_ADMIN_SSH_PUBLIC_KEY") or None,
        password=variables.get("BATCHAI_ADMIN_PASSWORD") or None,
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
        raise ConfigurationError(f"The settings file {path} cannot be read: {error}") from error
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

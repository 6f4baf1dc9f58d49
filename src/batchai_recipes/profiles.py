"""Profiles: named connections in a TOML file of the user's.

::

    default = "lab"

    [profiles.lab]
    endpoint = "https://batchai.example.org"
    subscription_id = "22222222-2222-2222-2222-222222222222"
    tenant_id = "11111111-1111-1111-1111-111111111111"
    client_id = "me"
    client_secret = { env = "LAB_SECRET" }
    storage = { account = "lab", key = { env = "LAB_KEY" } }

    [profiles.here]
    embedded = true
"""

import os
import sys
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, TypeAlias

import platformdirs
from attrs import frozen

from batchai_recipes.errors import ConfigurationError
from batchai_recipes.names import nearest
from batchai_recipes.settings import (
    APPLICATION,
    ENV_FILE_VARIABLE,
    VARIABLES,
    ConnectionSettings,
    CredentialKind,
)

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # pyright: ignore[reportMissingImports]  # not on newer Pythons

PROFILE_VARIABLE: Final = "BATCHAI_RECIPES_PROFILE"
PROFILE_FILE_VARIABLE: Final = "BATCHAI_RECIPES_PROFILE_FILE"

Table: TypeAlias = Mapping[str, object]

_SECRETS: Final = frozenset(
    {"client_secret", "storage.key", "storage.connection_string", "admin.password"}
)
_EMBEDDED: Final = frozenset({"embedded", "state_dir"})
_TABLES: Final = frozenset({"storage", "admin"})
_READABLE_BY_OTHERS: Final = 0o044


class ExposedSecretWarning(UserWarning):
    """A profile file that holds a secret can be read by other users of the machine.

    Example:
        >>> raise ExposedSecretWarning("chmod 600 profiles.toml")
        Traceback (most recent call last):
            ...
        batchai_recipes.profiles.ExposedSecretWarning: chmod 600 profiles.toml
    """


@frozen
class Profile:
    """One profile.

    Args:
        name: Its name; None for what the environment's variables say.
        settings: Where it leads; None for the embedded service.
        state_dir: The embedded service's state directory; None for the default one.
    """

    name: str | None
    settings: ConnectionSettings | None
    state_dir: Path | None = None


def profile_file(environment: Mapping[str, str] | None = None) -> Path:
    """Return where profiles are.

    Args:
        environment: The variables that may name another place; None for this process's own.

    Returns:
        ``BATCHAI_RECIPES_PROFILE_FILE`` where it is set, else ``profiles.toml`` in the user's own
        place for configuration.
    """
    variables = os.environ if environment is None else environment
    named = variables.get(PROFILE_FILE_VARIABLE)
    return Path(named) if named else platformdirs.user_config_path(APPLICATION) / "profiles.toml"


def configured(environment: Mapping[str, str] | None = None) -> Profile | None:
    """Return what the environment or the user's profiles choose.

    The first of these that is set counts: the file that ``BATCHAI_RECIPES_ENV_FILE`` names, the
    profile that ``BATCHAI_RECIPES_PROFILE`` names, ``BATCHAI_ENDPOINT`` with the variables beside
    it, the profile file's ``default``.

    Args:
        environment: The variables; None for this process's own.

    Returns:
        The choice; None where nothing is set, for the embedded service.

    Raises:
        ConfigurationError: What is set is incomplete or wrong.
    """
    variables = os.environ if environment is None else environment
    env_file = variables.get(ENV_FILE_VARIABLE)
    if env_file:
        return Profile(None, ConnectionSettings.from_file(env_file))
    if variables.get(PROFILE_VARIABLE):
        return read_profile(environment=variables)
    settings = ConnectionSettings.from_environment(variables)
    if settings:
        return Profile(None, settings)
    file = profile_file(variables)
    if file.is_file() and "default" in _document(file):
        return read_profile(environment=variables)
    return None


def read_profile(
    name: str | None = None,
    path: str | os.PathLike[str] | None = None,
    *,
    credential: CredentialKind | None = None,
    environment: Mapping[str, str] | None = None,
) -> Profile:
    """Read a profile.

    Args:
        name: The profile; None for the one that ``BATCHAI_RECIPES_PROFILE`` names, else the file's
            ``default``, else the only one.
        path: The file; None for :func:`profile_file`.
        credential: ``client_secret`` or ``default``; None for what the profile says.
        environment: The variables that values refer to; None for this process's own.

    Raises:
        ConfigurationError: The file or the profile is missing or wrong.
    """
    variables = os.environ if environment is None else environment
    file = Path(path) if path is not None else profile_file(variables)
    document = _document(file)
    profiles = document.get("profiles", {})
    _check_keys(file, document, ["default", "profiles"])
    if not isinstance(profiles, dict) or not all(isinstance(p, dict) for p in profiles.values()):
        raise ConfigurationError(f"{file}: write each profile as a table, [profiles.NAME]")
    chosen = name or variables.get(PROFILE_VARIABLE) or document.get("default")
    if chosen is None and len(profiles) == 1:
        (chosen,) = profiles
    if chosen is None:
        raise ConfigurationError(
            f'{file} has no default profile: name one, or add the line default = "NAME" at its '
            f"top; {nearest('', profiles)}"
        )
    if not isinstance(chosen, str) or chosen not in profiles:
        hint = nearest(str(chosen), profiles)
        raise ConfigurationError(f"{file} has no profile {chosen!r}: {hint}")
    _warn_of_exposed_secrets(file, profiles)
    return _Reading(file, chosen, profiles[chosen], variables).profile(credential)


class _Reading:
    """One profile on its way from the file.

    Args:
        file: The file.
        name: The profile's name.
        table: The profile.
        variables: What values may refer to.
    """

    def __init__(self, file: Path, name: str, table: Table, variables: Mapping[str, str]) -> None:
        self._file = file
        self._name = name
        self._table = table
        self._variables = variables
        self._where = f"{file}, profile {name!r}"

    def profile(self, credential: CredentialKind | None) -> Profile:
        """Return the profile, its credential perhaps replaced."""
        values = dict(self._values())
        if self._table.get("embedded"):
            state_dir = values.pop("state_dir", None)
            if values:
                raise ConfigurationError(
                    f"{self._where}: the embedded service has settings of its own; leave out "
                    f"{', '.join(values)}"
                )
            return Profile(self._name, None, self._path(state_dir) if state_dir else None)
        if "state_dir" in values:
            raise ConfigurationError(f"{self._where}: state_dir needs embedded = true")
        if credential:
            values["credential"] = credential
        if "ca_file" in values:
            values["ca_file"] = str(self._path(values["ca_file"]))
        # The path may hold braces of its own.
        where = self._where.replace("{", "{{").replace("}", "}}")
        incomplete = f"{where}, is incomplete: {{missing}} {{are}} missing"
        settings = ConnectionSettings.from_values(values, str, incomplete)
        return Profile(self._name, settings)

    def _values(self) -> Iterator[tuple[str, str]]:
        known = {key.partition(".")[0] for key in VARIABLES} | _EMBEDDED
        _check_keys(self._where, self._table, known)
        for key, value in self._table.items():
            if key in _TABLES:
                if not isinstance(value, dict):
                    raise ConfigurationError(f"{self._where}: {key} is no table")
                inner = [name.partition(".")[2] for name in VARIABLES if name.startswith(f"{key}.")]
                _check_keys(f"{self._where}, {key}", value, inner)
                for name, part in value.items():
                    yield f"{key}.{name}", self._text(f"{key}.{name}", part)
            elif key == "embedded":
                if not isinstance(value, bool):
                    raise ConfigurationError(f"{self._where}: embedded is either true or false")
            else:
                yield key, self._text(key, value)

    def _text(self, key: str, value: object) -> str:
        if isinstance(value, dict) and set(value) == {"env"} and isinstance(value["env"], str):
            text = self._variables.get(value["env"])
            if not text:
                raise ConfigurationError(
                    f"{self._where}: {key} refers to the environment variable {value['env']}, "
                    f"which is not set"
                )
            return text
        if not isinstance(value, str) or not value:
            raise ConfigurationError(
                f'{self._where}: {key} is no text: write "..." or {{ env = "NAME" }}'
            )
        return value

    def _path(self, text: str) -> Path:
        """Return a path, which counts from the folder of the file."""
        return self._file.absolute().parent / Path(text).expanduser()


def _document(file: Path) -> Table:
    try:
        document: Table = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigurationError(
            f"There is no profile file {file}: write it, or name another with "
            f"{PROFILE_FILE_VARIABLE}"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"The profile file {file} cannot be read: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"The profile file {file} is no TOML: {error}") from error
    return document


def _check_keys(where: object, table: Table, known: "list[str] | set[str]") -> None:
    for key in table:
        if key not in known:
            raise ConfigurationError(f"{where}: unknown key {key!r}: {nearest(key, known)}")


def _warn_of_exposed_secrets(file: Path, profiles: Mapping[str, Table]) -> None:
    held = [name for name, table in profiles.items() if _holds_secret(table)]
    if held and file.stat().st_mode & _READABLE_BY_OTHERS:
        warnings.warn(
            f"{file} holds secrets (profile {', '.join(held)}) and others can read it: "
            f"chmod 600 it, or refer to environment variables",
            ExposedSecretWarning,
            stacklevel=4,
        )


def _holds_secret(table: Table) -> bool:
    for secret in _SECRETS:
        outer, _, inner = secret.partition(".")
        value = table.get(outer)
        if inner:
            value = value.get(inner) if isinstance(value, dict) else None
        if isinstance(value, str):
            return True
    return False

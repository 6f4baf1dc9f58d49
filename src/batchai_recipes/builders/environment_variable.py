"""Environment variables of jobs and setup tasks, plain and secret."""

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final, TypeAlias

from batchai_recipes.builders.key_vault import KeyVaultSecret
from batchai_recipes.errors import ConfigurationError
from batchai_recipes.text import checked_text

if TYPE_CHECKING:
    from azure.mgmt.batchai.models import EnvironmentVariable, EnvironmentVariableWithSecretValue

Variables: TypeAlias = tuple[tuple[str, str], ...]
Secrets: TypeAlias = tuple[tuple[str, str | KeyVaultSecret], ...]

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_RESERVED_PREFIX: Final = "AZ_BATCH"


def checked_variable(name: str, taken: Iterable[str]) -> str:
    """Return the name of a variable if a user may set it.

    Args:
        name: The name.
        taken: The names that are set already.

    Raises:
        ConfigurationError: It is no name, reserved or taken.

    Example:
        >>> checked_variable("LEVEL", ())
        'LEVEL'
    """
    if not _NAME.fullmatch(checked_text("The name of an environment variable", name)):
        raise ConfigurationError(f"{name!r} is no name for an environment variable")
    if name.upper().startswith(_RESERVED_PREFIX):
        raise ConfigurationError(
            f"Names beginning with {_RESERVED_PREFIX} are the service's own: rename {name!r}"
        )
    if name in taken:
        raise ConfigurationError(f"Environment variable {name!r} is set twice")
    return name


def checked_value(name: str, value: str) -> str:
    """Return the value of a plain variable if it is one.

    Args:
        name: The variable's name.
        value: Its value.

    Raises:
        ConfigurationError: It is no text, or has a NUL, which no environment can hold.

    Example:
        >>> checked_value("LEVEL", "1")
        '1'
    """
    return _without_nul(name, checked_text(f"The value of environment variable {name!r}", value))


def checked_secret(name: str, value: str | KeyVaultSecret) -> str | KeyVaultSecret:
    """Return the value of a secret variable if it is one, or says where to read it.

    Args:
        name: The variable's name.
        value: Its value, or where to read it.

    Raises:
        ConfigurationError: It is neither, or has a NUL, which no environment can hold.
    """
    if isinstance(value, KeyVaultSecret):
        return value
    what = f"The value of secret {name!r}"
    return _without_nul(name, checked_text(what, value, or_else="a KeyVaultSecret"))


def _without_nul(name: str, value: str) -> str:
    if "\0" in value:
        raise ConfigurationError(f"The value of {name!r} has a NUL character: leave it out")
    return value


def checked_variables(
    environment: Mapping[str, str] | None, secrets: Mapping[str, str | KeyVaultSecret] | None
) -> tuple[Variables, Secrets]:
    """Return plain and secret variables if a user may set them.

    Args:
        environment: The plain ones.
        secrets: The secret ones.

    Raises:
        ConfigurationError: A name is no name, reserved or in both, or a value is no text.
    """
    plain, hidden = dict(environment or {}), dict(secrets or {})
    for name, value in plain.items():
        checked_value(checked_variable(name, ()), value)
    for name, secret in hidden.items():
        checked_secret(checked_variable(name, plain), secret)
    return tuple(plain.items()), tuple(hidden.items())


def variable_models(variables: Variables) -> "list[EnvironmentVariable]":
    """Return the official models of plain variables.

    Args:
        variables: Their names and values.
    """
    from azure.mgmt.batchai import models  # noqa: PLC0415 - loaded on first use

    return [models.EnvironmentVariable(name=name, value=value) for name, value in variables]


def secret_models(secrets: Secrets) -> "list[EnvironmentVariableWithSecretValue]":
    """Return the official models of secret variables.

    Args:
        secrets: Their names and values.
    """
    from azure.mgmt.batchai import models  # noqa: PLC0415 - loaded on first use

    return [
        models.EnvironmentVariableWithSecretValue(
            name=name, value_secret_reference=value.reference()
        )
        if isinstance(value, KeyVaultSecret)
        else models.EnvironmentVariableWithSecretValue(name=name, value=value)
        for name, value in secrets
    ]

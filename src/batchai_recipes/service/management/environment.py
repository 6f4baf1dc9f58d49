"""Environment variables in requests, plain and secret, of jobs and of set-up tasks."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from batchai_recipes.service.management.shapes import (
    Items,
    Property,
    Structure,
    Text,
    Unsupported,
    refuse,
)

_NAME: Final = Text(
    re.compile(r"[A-Za-z_][A-Za-z0-9_]*"),
    "a letter or underscore followed by letters, digits and underscores",
)
_RESERVED: Final = "AZ_BATCH"

NO_KEY_VAULT: Final = Unsupported(
    "this service has no Key Vault to read from. Give the value itself; it is never shown."
)
"""A reference to a secret in Azure Key Vault."""


def _check_name(variable: dict[str, Any], at: str) -> None:
    if variable["name"].upper().startswith(_RESERVED):
        refuse(
            f"{at}.name",
            f"names that begin with {_RESERVED} are reserved for the service. Choose another.",
        )


VARIABLES: Final = Items(
    Structure(
        {"name": Property(_NAME, required=True), "value": Property(Text(), required=True)},
        check=_check_name,
    ),
    unique="name",
)
"""Variables that everyone may see."""

SECRETS: Final = Items(
    Structure(
        {
            "name": Property(_NAME, required=True),
            "valueSecretReference": Property(NO_KEY_VAULT),
            "value": Property(Text(), required=True, secret=True),
        },
        check=_check_name,
    ),
    unique="name",
)
"""Variables whose values are never shown."""


def check_disjoint(owner: Mapping[str, Any], at: str) -> None:
    """Refuse a name that is both a plain and a secret variable.

    Args:
        owner: The object with ``environmentVariables`` and ``secrets``, in normal form.
        at: Its path in the document.

    Raises:
        ShapeError: A name is both.
    """
    plain = {variable["name"] for variable in owner.get("environmentVariables", ())}
    for index, secret in enumerate(owner.get("secrets", ())):
        if secret["name"] in plain:
            refuse(
                f"{at}.secrets[{index}].name",
                "environmentVariables has a variable of the same name.",
            )


def values(variables: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return variables as a mapping.

    Args:
        variables: A list in the normal form of :data:`VARIABLES` or :data:`SECRETS`.
    """
    return {variable["name"]: variable["value"] for variable in variables}

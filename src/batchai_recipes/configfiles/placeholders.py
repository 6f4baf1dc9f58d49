"""Placeholders such as ``<AZURE_BATCHAI_STORAGE_ACCOUNT>`` in configuration files."""

import re
from collections.abc import Mapping
from typing import Final

from attrs import field, frozen

from batchai_recipes.errors import ConfigurationError
from batchai_recipes.staging.storage_account import StorageAccount

ACCOUNT: Final = "AZURE_BATCHAI_STORAGE_ACCOUNT"
"""The placeholder of the connection's storage account, as in the official recipes."""

KEY: Final = "AZURE_BATCHAI_STORAGE_KEY"
"""The placeholder of that account's key."""

# With an underscore inside, so that a token such as <UNK> of a program's arguments is none.
_PLACEHOLDER: Final = re.compile(r"<([A-Z][A-Z0-9]*_[A-Z0-9_]+)>")


def written(name: str) -> str:
    """Return a placeholder as it stands in a file.

    Args:
        name: Its name.

    Example:
        >>> written("ADMIN_USER_PASSWORD")
        '<ADMIN_USER_PASSWORD>'
    """
    return f"<{name}>"


def names_in(text: str) -> list[str]:
    """Return the names of the placeholders in a text, in order.

    Args:
        text: The text.

    Example:
        >>> names_in("https://<AZURE_BATCHAI_STORAGE_ACCOUNT>.file.core.windows.net/share")
        ['AZURE_BATCHAI_STORAGE_ACCOUNT']
        >>> names_in("--unknown <UNK> < input")
        []
    """
    return _PLACEHOLDER.findall(text)


@frozen
class Placeholders:
    """What stands for placeholders.

    Args:
        storage: The account that the two of the official recipes stand for; None where that is
            left to the session.
        variables: The values of others, by name; never shown.
    """

    storage: StorageAccount | None = None
    variables: Mapping[str, str] = field(factory=dict, repr=False)

    def fill(self, text: str) -> str:
        """Return a text with its placeholders filled.

        Args:
            text: The text.

        Raises:
            ConfigurationError: One has no value; the message names it.

        Example:
            >>> Placeholders(variables={"DATA_SET": "mnist"}).fill("--data=<DATA_SET>")
            '--data=mnist'
        """
        return _PLACEHOLDER.sub(lambda match: self._value(match[1]), text)

    def _value(self, name: str) -> str:
        if name in {ACCOUNT, KEY}:
            if self.storage is None:
                raise ConfigurationError(
                    f"the placeholder <{name}> stands for the connection's storage account: give "
                    f"storage=connection.storage"
                )
            return self.storage.name if name == ACCOUNT else self.storage.key
        if name not in self.variables:
            raise ConfigurationError(
                f"the placeholder <{name}> has no value: give it as "
                f"variables={{{name!r}: ...}}, or on the command line as an environment variable "
                f"of that name"
            )
        return self.variables[name]

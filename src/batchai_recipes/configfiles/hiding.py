"""Keeping secrets out of a configuration file: placeholders stand where they were."""

import re
from typing import Final

from batchai_recipes.builders.references import texts_in
from batchai_recipes.configfiles.placeholders import ACCOUNT, KEY, names_in, written

# Shorter ones would be found where they are not meant.
_SHORTEST_IN_TEXTS: Final = 8
_NOT_IN_NAMES: Final = re.compile(r"[^A-Z0-9_]")


class Hiding:
    """Replaces the secrets of one document.

    Example:
        >>> hiding = Hiding()
        >>> hiding.hidden({"secrets": [{"name": "TOKEN", "value": "open sesame"}]})
        {'secrets': [{'name': 'TOKEN', 'value': '<SECRET_TOKEN>'}]}
    """

    def __init__(self) -> None:
        self._names: dict[str, str] = {}

    def hidden(self, document: dict[str, object]) -> dict[str, object]:
        """Return a document with placeholders for its secrets, wherever they stand.

        Args:
            document: The properties, as sent over the wire.
        """
        replaced = {key: self._replaced(key, value, document) for key, value in document.items()}
        return {key: self._cleaned(value) for key, value in replaced.items()}

    def _replaced(self, key: str, value: object, owner: dict[str, object]) -> object:
        if isinstance(value, str):
            name = _secret_name(key, owner)
            if name is None or names_in(value) == [KEY]:
                return value
            return written(self._name(name, value))
        if isinstance(value, list):
            return [self._replaced(key, one, owner) for one in value]
        if isinstance(value, dict):
            # A key is told by what it stands in: whose it is, and in which list.
            around = {**value, "": key, "accountName": value.get("accountName", _name_of(owner))}
            return {k: self._replaced(k, one, around) for k, one in value.items()}
        return value

    def _name(self, wanted: str, value: str) -> str:
        name, number = wanted, 1
        while self._names.setdefault(name, value) != value:
            number += 1
            name = f"{wanted}_{number}"
        return name

    def _cleaned(self, value: object) -> object:
        """Replace secrets inside other texts, such as a password in a command line."""
        if isinstance(value, str):
            for name, secret in sorted(self._names.items(), key=lambda pair: -len(pair[1])):
                if len(secret) >= _SHORTEST_IN_TEXTS:
                    value = value.replace(secret, written(name))
            return value
        if isinstance(value, list):
            return [self._cleaned(one) for one in value]
        if isinstance(value, dict):
            return {key: self._cleaned(one) for key, one in value.items()}
        return value


def names_needed(document: object) -> tuple[str, ...]:
    """Return the placeholders that reading a document needs values for, sorted.

    Args:
        document: The properties, as they are written.
    """
    found = {name for text in texts_in(document) for name in names_in(text)}
    return tuple(sorted(found - {ACCOUNT, KEY}))


def _secret_name(key: str, owner: dict[str, object]) -> str | None:
    match key:
        case "accountKey":
            return f"STORAGE_KEY_{_in_name(owner['accountName'])}"
        case "adminUserPassword":
            return "ADMIN_USER_PASSWORD"
        case "password":
            return "REGISTRY_PASSWORD"
        case "instrumentationKey":
            return "INSTRUMENTATION_KEY"
        case "value" if owner.get("") == "secrets":
            return f"SECRET_{_in_name(owner['name'])}"
    return None


def _in_name(text: object) -> str:
    return _NOT_IN_NAMES.sub("_", str(text).upper())


def _name_of(owner: dict[str, object]) -> object:
    return owner.get("accountName", "")

"""One object of a configuration file, which knows its place for messages."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

from attrs import frozen

from batchai_recipes.builders.key_vault import KeyVaultSecret
from batchai_recipes.configfiles.placeholders import Placeholders
from batchai_recipes.errors import ConfigFileError, ConfigurationError


@frozen
class Section:
    """An object whose properties are known to be of the right types.

    Args:
        file: The file, as the user named it.
        path: The object's place in the file, empty for the whole.
        values: Its properties.
        placeholders: What fills the placeholders in its texts.
    """

    file: str
    path: str
    values: dict[str, object]
    placeholders: Placeholders

    def __contains__(self, key: str) -> bool:
        return key in self.values

    def raw(self, key: str) -> str | None:
        """Return a text with its placeholders as they are; None where there is none."""
        return cast("str | None", self.values.get(key))

    def text(self, key: str) -> str | None:
        """Return a text with its placeholders filled; None where there is none.

        Raises:
            ConfigFileError: A placeholder has no value.
        """
        text = self.raw(key)
        if text is None:
            return None
        with self.at(key):
            return self.placeholders.fill(text)

    def required(self, key: str) -> str:
        """Return a text that the contract requires, and so is there."""
        return cast("str", self.text(key))

    def count(self, key: str) -> int | None:
        """Return a number; None where there is none."""
        return cast("int | None", self.values.get(key))

    def texts(self, key: str) -> list[str]:
        """Return the texts in a list with their placeholders filled, none where there is no list.

        Raises:
            ConfigFileError: A placeholder has no value.
        """
        with self.at(key):
            found = cast("list[str]", self.values.get(key) or [])
            return [self.placeholders.fill(text) for text in found]

    def section(self, key: str) -> "Section | None":
        """Return the object in a property; None where there is none."""
        values = self.values.get(key)
        if values is None:
            return None
        return self._inner(place_in(self.path, key), values)

    def sections(self, key: str) -> "list[Section]":
        """Return the objects in a list, none where there is no list."""
        values = cast("list[object]", self.values.get(key) or [])
        place = place_in(self.path, key)
        return [self._inner(f"{place}[{index}]", value) for index, value in enumerate(values)]

    def secret(self, key: str, reference_key: str) -> str | KeyVaultSecret | None:
        """Return a secret, or where to read it; None where there is neither.

        Args:
            key: The property that holds its value.
            reference_key: The property that says where it is.

        Raises:
            ConfigFileError: Both are given, or the reference is none.
        """
        reference = self.section(reference_key)
        if reference is None:
            return self.text(key)
        if key in self:
            raise self.error(key, f"given beside {reference_key!r}: give one of the two")
        vault = cast("Section", reference.section("sourceVault"))
        with reference.at():
            return KeyVaultSecret(vault.required("id"), reference.required("secretUrl"))

    def error(self, key: str, problem: str) -> ConfigFileError:
        """Return the error for a property."""
        return ConfigFileError(self.file, place_in(self.path, key), problem)

    @contextmanager
    def at(self, key: str = "") -> Iterator[None]:
        """Name the place in errors of the block.

        Args:
            key: The property; empty for the object itself.
        """
        try:
            yield
        except ConfigFileError:
            raise  # it names its place already
        except ConfigurationError as error:
            raise self.error(key, str(error)) from error

    def _inner(self, path: str, values: object) -> "Section":
        return Section(self.file, path, cast("dict[str, object]", values), self.placeholders)


def place_in(path: str, key: str) -> str:
    """Return the place of a property.

    Args:
        path: The place of its object.
        key: The property.

    Example:
        >>> place_in("properties", "nodeSetup"), place_in("", "vmSize"), place_in("properties", "")
        ('properties.nodeSetup', 'vmSize', 'properties')
    """
    return ".".join(filter(None, (path, key)))

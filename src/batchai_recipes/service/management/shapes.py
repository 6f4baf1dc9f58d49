"""What request bodies look like: small declarations that read, check and fill in a JSON value.

A shape reads a value into its normal form: unknown properties are refused, properties that only
the service sets are left out, defaults are filled in. ``public`` gives the same without secrets.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, NoReturn, Protocol

from attrs import field, frozen

from batchai_recipes.service.management.errors import ErrorDetail, suggestion

_MAXIMUM_TEXT: Final = 32 * 1024


class ShapeError(Exception):
    """A value does not have the shape it must have.

    Args:
        code: Azure's code.
        message: What is wrong and what to do.
        target: Where, as ``properties.nodeCount``.
    """

    def __init__(self, code: str, message: str, target: str) -> None:
        super().__init__(message)
        self.detail = ErrorDetail(code, message, target)


def refuse(target: str, message: str, code: str = "InvalidPropertyValue") -> NoReturn:
    """Refuse a value.

    Args:
        target: The property.
        message: What is wrong with it and what to do.
        code: Azure's code.

    Raises:
        ShapeError: Always.
    """
    raise ShapeError(code, f"The property '{target}' is invalid: {message}", target)


class Shape(Protocol):
    """Reads one JSON value."""

    def read(self, value: Any, at: str) -> Any:
        """Return the value in its normal form.

        Args:
            value: The JSON value, not null.
            at: Its path in the document.

        Raises:
            ShapeError: It has another shape.
        """
        ...

    def public(self, value: Any) -> Any:
        """Return a value in its normal form without its secrets.

        Args:
            value: What :meth:`read` returned.
        """
        ...


@frozen
class Text:
    """A string.

    Args:
        pattern: What all of it must match.
        rule: The same in words, for the message.
        filled: Whether it must not be blank.
    """

    pattern: re.Pattern[str] | None = None
    rule: str = ""
    filled: bool = False

    def read(self, value: Any, at: str) -> str:
        """Return the string; see :class:`Shape`."""
        if not isinstance(value, str):
            refuse(at, "it must be a string.")
        if "\0" in value:
            refuse(at, "it must not contain a NUL character.")
        if len(value) > _MAXIMUM_TEXT:
            refuse(at, f"it must not be longer than {_MAXIMUM_TEXT} characters.")
        if self.filled and not value.strip():
            refuse(at, "it must not be empty.")
        if self.pattern is not None and self.pattern.fullmatch(value) is None:
            refuse(at, f"it must be {self.rule}.")
        return value

    def public(self, value: Any) -> Any:
        """Return the string; see :class:`Shape`."""
        return value


@frozen
class Whole:
    """A whole number.

    Args:
        minimum: The least value.
        maximum: The greatest value.
    """

    minimum: int
    maximum: int = 2**31 - 1

    def read(self, value: Any, at: str) -> int:
        """Return the number; see :class:`Shape`."""
        if not isinstance(value, int) or isinstance(value, bool):
            refuse(at, "it must be a whole number.")
        if not self.minimum <= value <= self.maximum:
            refuse(at, f"it must lie between {self.minimum} and {self.maximum}.")
        return value

    def public(self, value: Any) -> Any:
        """Return the number; see :class:`Shape`."""
        return value


@frozen
class Choice:
    """One of a few words, read without regard to case.

    Args:
        values: The words.
    """

    values: tuple[str, ...]

    def read(self, value: Any, at: str) -> str:
        """Return the word as it is spelt here; see :class:`Shape`."""
        for known in self.values:
            if isinstance(value, str) and value.casefold() == known.casefold():
                return known
        nearest = suggestion(value, self.values) if isinstance(value, str) else ""
        return refuse(at, f"it must be one of {', '.join(self.values)}{nearest or '.'}")

    def public(self, value: Any) -> Any:
        """Return the word; see :class:`Shape`."""
        return value


@frozen
class Items:
    """A list.

    Args:
        of: The shape of each item.
        unique: The property in which no two items may be equal, or ''.
    """

    of: Shape
    unique: str = ""

    def read(self, value: Any, at: str) -> list[Any]:
        """Return the list; see :class:`Shape`."""
        if not isinstance(value, list):
            refuse(at, "it must be a list.")
        items = [self.of.read(item, f"{at}[{index}]") for index, item in enumerate(value)]
        if self.unique:
            seen: set[str] = set()
            for index, item in enumerate(items):
                if item[self.unique] in seen:
                    refuse(f"{at}[{index}].{self.unique}", "another item has the same value.")
                seen.add(item[self.unique])
        return items

    def public(self, value: Any) -> Any:
        """Return the list without its items' secrets; see :class:`Shape`."""
        return [self.of.public(item) for item in value]


@frozen
class Words:
    """An object whose properties have free names and strings as values, as tags are."""

    def read(self, value: Any, at: str) -> dict[str, str]:
        """Return the object; see :class:`Shape`."""
        if not isinstance(value, dict):
            refuse(at, "it must be an object of strings.")
        return {
            Text().read(key, at): Text().read(word, f"{at}.{key}") for key, word in value.items()
        }

    def public(self, value: Any) -> Any:
        """Return the object; see :class:`Shape`."""
        return value


@frozen
class Unsupported:
    """A property of the contract that this service cannot honour yet.

    Args:
        message: What the service does not do, and what to do instead.
    """

    message: str

    def read(self, value: Any, at: str) -> Any:
        """Refuse anything but an empty list or object; see :class:`Shape`."""
        if value not in ([], {}):
            refuse(at, self.message, code="NotSupported")
        return value

    def public(self, value: Any) -> Any:
        """Return the value; see :class:`Shape`."""
        return value


@frozen
class Property:
    """One property of an object.

    Args:
        shape: The shape of its value.
        required: Whether it must be there.
        default: What it is when it is not there; None to leave it out.
        secret: Whether no answer may show it.
    """

    shape: Shape
    required: bool = False
    default: Any = None
    secret: bool = False


@frozen
class Structure:
    """An object with known properties.

    Args:
        properties: The properties that a client sets.
        read_only: Those that only the service sets; a client may send them back, to no effect.
        check: Looks at the object as a whole.
    """

    properties: Mapping[str, Property]
    read_only: frozenset[str] = frozenset()
    check: Callable[[dict[str, Any], str], None] | None = field(default=None, kw_only=True)

    def read(self, value: Any, at: str) -> dict[str, Any]:
        """Return the object with defaults filled in; see :class:`Shape`."""
        if not isinstance(value, dict):
            refuse(at or "(body)", "it must be an object.")
        prefix = f"{at}." if at else ""
        for name in value:
            if name not in self.properties and name not in self.read_only:
                nearest = suggestion(name, self.properties)
                raise ShapeError(
                    "InvalidRequestContent",
                    f"Could not find a property '{prefix}{name}' in the API{nearest or '.'}",
                    f"{prefix}{name}",
                )
        result: dict[str, Any] = {}
        for name, declared in self.properties.items():
            given = value.get(name)
            if given is None and declared.required:
                raise ShapeError(
                    "MissingRequiredProperty",
                    f"The required property '{prefix}{name}' is missing.",
                    f"{prefix}{name}",
                )
            if given is None and declared.default is not None:
                given = declared.default
            if given is not None:
                result[name] = declared.shape.read(given, prefix + name)
        if self.check is not None:
            self.check(result, at)
        return result

    def public(self, value: Any) -> Any:
        """Return the object without secrets; see :class:`Shape`."""
        return {
            name: self.properties[name].shape.public(inner)
            for name, inner in value.items()
            if not self.properties[name].secret
        }

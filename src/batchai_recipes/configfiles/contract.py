"""What may stand in a configuration file: the properties of the official models."""

import difflib
from typing import Any, Final, TypeAlias, cast

from batchai_recipes.configfiles.section import place_in
from batchai_recipes.errors import ConfigFileError

_AttributeMap: TypeAlias = dict[str, dict[str, str]]

# What earlier releases of the contract had, and what `az batchai ... show` adds.
_IGNORED: Final = {
    "ClusterCreateParameters": ("location", "tags", "apiVersion", "resourceGroup"),
    "JobCreateParameters": (
        *("location", "tags", "apiVersion", "resourceGroup", "experimentName", "priority"),
    ),
    "FileServerCreateParameters": ("location", "tags", "apiVersion", "resourceGroup"),
    "OutputDirectory": ("type", "createNew"),
    "ResourceId": ("resourceGroup",),
}
# By model, the names that properties once had.
_FORMER: Final = {
    "AzureFileShareReference": {"credentialsInfo": "credentials"},
    "AzureBlobFileSystemReference": {"credentialsInfo": "credentials"},
}
# What may be missing though the service needs it: reading takes it from elsewhere.
_SUPPLIED: Final = {
    "AzureFileShareReference": {"accountName", "credentials"},
    "AzureBlobFileSystemReference": {"accountName", "credentials"},
    "SetupTask": {"stdOutErrPathPrefix"},
}
_READ_BACK: Final = {
    "ClusterCreateParameters": "Cluster",
    "FileServerCreateParameters": "FileServer",
    "JobCreateParameters": "Job",
}
_NOUNS: Final = {"Cluster": "cluster", "FileServer": "file server", "Job": "job"}
_NAMES: Final = {str: "a text", bool: "true or false", int: "a number", float: "a number"}


class Contract:
    """Checks values of one file against the official models.

    Args:
        file: The file, for messages.
    """

    def __init__(self, file: str) -> None:
        self._file = file

    def checked(self, value: object, model: str, path: str) -> dict[str, object]:
        """Return an object's properties by their present names, less what is to be ignored.

        Args:
            value: What stands in the file.
            model: The name of the official model.
            path: Where it stands.

        Raises:
            ConfigFileError: It is no object, a property is unknown or of another type, or one that
                the service needs is missing.
        """
        if not isinstance(value, dict):
            raise self._wrong(path, "an object, written as {...}", value)
        types = property_types(model)
        ignored = {*_IGNORED.get(model, ()), *_read_only(model)}
        found: dict[str, object] = {}
        for name, inner in value.items():
            if name in ignored or inner is None:
                continue
            key = _present_name(model, name)
            place = place_in(path, name)
            if key not in types:
                raise ConfigFileError(self._file, place, _unknown(model, name, list(types)))
            if key in found:
                raise ConfigFileError(
                    self._file, place, f"the same as {key!r}, which is there: remove one"
                )
            found[key] = self._typed(inner, types[key], place)
        for key in _required(model):
            if key not in found:
                problem = "missing, and the service needs it"
                raise ConfigFileError(self._file, place_in(path, key), problem)
        return found

    def _typed(self, value: object, kind: str, path: str) -> object:
        if kind.startswith("["):
            if not isinstance(value, list):
                raise self._wrong(path, "a list, written as [...]", value)
            inner = kind.strip("[]")
            return [self._typed(one, inner, f"{path}[{i}]") for i, one in enumerate(value)]
        if kind in {"str", "duration"}:
            if not isinstance(value, str):
                raise self._wrong(path, 'a text, written as "..."', value)
            return value
        if kind == "int":
            if isinstance(value, bool) or not isinstance(value, int):
                raise self._wrong(path, "a whole number", value)
            return value
        return self.checked(value, kind, path)

    def _wrong(self, path: str, wanted: str, value: object) -> ConfigFileError:
        # Its type alone, since it may be a secret.
        names = {**_NAMES, dict: "an object", list: "a list", type(None): "null"}
        return ConfigFileError(
            self._file, path, f"must be {wanted}; it is {names.get(type(value), 'something else')}"
        )


def property_types(model: str) -> dict[str, str]:
    """Return the types of a model's properties by their names in JSON.

    Args:
        model: The name of the official model.

    Example:
        >>> property_types("CustomToolkitSettings")
        {'commandLine': 'str'}
    """
    return {_json_name(one["key"]): one["type"] for one in _attributes(model).values()}


def _attributes(model: str) -> _AttributeMap:
    from azure.mgmt.batchai import models  # noqa: PLC0415 - loaded on first use

    return cast("_AttributeMap", getattr(models, model)._attribute_map)  # noqa: SLF001 - msrest's


def _required(model: str) -> list[str]:
    from azure.mgmt.batchai import models  # noqa: PLC0415 - loaded on first use

    rules: dict[str, dict[str, Any]] = getattr(models, model)._validation  # noqa: SLF001 - msrest's
    attributes = _attributes(model)
    names = [
        _json_name(attributes[attribute]["key"])
        for attribute, rule in rules.items()
        if rule.get("required")
    ]
    return [name for name in names if name not in _SUPPLIED.get(model, set())]


def _read_only(model: str) -> set[str]:
    """Return what the service tells of a resource and nobody sets."""
    read_back = _READ_BACK.get(model)
    if read_back is None:
        return set()
    return {*property_types(read_back)} - {*property_types(model)}


def _present_name(model: str, name: str) -> str:
    attributes = _attributes(model)
    if name in attributes:  # as one official recipe has `process_count`
        return _json_name(attributes[name]["key"])
    return _FORMER.get(model, {}).get(name, name)


def _json_name(key: str) -> str:
    return key.removeprefix("properties.")


def _unknown(model: str, name: str, known: list[str]) -> str:
    same = [one for one in known if one.casefold() == name.casefold()]
    near = same or difflib.get_close_matches(name, known, 1)
    if near:
        return f"no such property: did you mean {near[0]!r}?"
    for other, kind in _READ_BACK.items():
        if model in _READ_BACK and name in property_types(other):
            noun = _NOUNS[kind]
            return f"a property of a {noun}: is this the {noun}'s file?"
    return f"no such property: there are {', '.join(map(repr, sorted(known)))}"

"""Reading and writing the JSON of a configuration file."""

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NoReturn

from batchai_recipes.configfiles.contract import Contract
from batchai_recipes.configfiles.placeholders import Placeholders
from batchai_recipes.configfiles.section import Section
from batchai_recipes.errors import ConfigFileError
from batchai_recipes.staging.storage_account import StorageAccount

_AROUND: Final = frozenset(
    {"$schema", "properties", "id", "name", "type", "location", "tags", "apiVersion"}
)
_SCHEMAS: Final = "https://raw.githubusercontent.com/Azure/BatchAI/master/schemas/2018-05-01"
_WITH_SCHEMA: Final = frozenset({"cluster", "job"})  # as the official recipes name them


def read_document(
    path: str | os.PathLike[str],
    model: str,
    storage: StorageAccount | None,
    variables: Mapping[str, str] | None,
) -> tuple[str, Section]:
    """Read a configuration file, checked against an official model.

    Args:
        path: The file.
        model: The name of the model.
        storage: The account that placeholders stand for.
        variables: The values of other placeholders.

    Returns:
        The resource's name, which is that in the file or else the file's own, and its properties.

    Raises:
        ConfigFileError: The file cannot be read, or is no such file.
    """
    file = os.fspath(path)
    document = _parsed(file)
    name = document.get("name")
    if not isinstance(name, str):
        name = re.sub(r"[^-\w]", "-", Path(file).stem, flags=re.ASCII)[:64] or "unnamed"
    if "properties" in document:
        for key in document:
            if key not in _AROUND:
                problem = "beside 'properties': move it into them"
                raise ConfigFileError(file, key, problem)
        place, properties = "properties", document["properties"]
    else:
        place, properties = "", {k: v for k, v in document.items() if k != "$schema"}
    checked = Contract(file).checked(properties, model, place)
    return name, Section(file, place, checked, Placeholders(storage, variables or {}))


def write_document(path: str | os.PathLike[str], kind: str, properties: dict[str, object]) -> None:
    """Write a configuration file.

    Args:
        path: The file; one that is there is replaced.
        kind: ``cluster``, ``job`` or ``file_server``.
        properties: What to write.

    Raises:
        ConfigFileError: The file cannot be written.
    """
    file = Path(path)
    schema = {"$schema": f"{_SCHEMAS}/{kind}.json"} if kind in _WITH_SCHEMA else {}
    document = {**schema, "properties": properties}
    text = json.dumps(document, indent=4, ensure_ascii=False) + "\n"
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        draft.write_text(text, encoding="utf-8")
        draft.replace(file)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise ConfigFileError(str(file), "", f"cannot be written: {error.strerror}") from error


def _parsed(file: str) -> dict[str, object]:
    text = _text_of(file)

    def once(pairs: list[tuple[str, object]]) -> dict[str, object]:
        names = [key for key, _ in pairs]
        if len(set(names)) < len(names):
            twice = next(key for key in names if names.count(key) > 1)
            raise ConfigFileError(file, twice, "twice in one object: remove one")
        return dict(pairs)

    def refused(constant: str) -> NoReturn:
        raise ConfigFileError(file, "", f"no JSON: {constant} is no number there")

    try:
        document = json.loads(text, object_pairs_hook=once, parse_constant=refused)
    except json.JSONDecodeError as error:
        problem = f"no JSON: {error.msg} in line {error.lineno}, column {error.colno}"
        raise ConfigFileError(file, "", problem) from error
    except ConfigFileError:
        raise
    except (RecursionError, ValueError) as error:  # nested too deeply, a number of 5,000 digits
        raise ConfigFileError(file, "", "no configuration file: it cannot be parsed") from error
    if not isinstance(document, dict):
        raise ConfigFileError(file, "", "must hold one object, written as {...}")
    return document


def _text_of(file: str) -> str:
    try:
        return Path(file).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigFileError(file, "", f"cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigFileError(file, "", "no text in UTF-8") from error
    except ValueError as error:  # a NUL in the path
        raise ConfigFileError(file, "", f"cannot be read: {error}") from error

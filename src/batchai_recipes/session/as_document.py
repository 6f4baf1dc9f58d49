"""Builders and other values as JSON documents, for people to read."""

import os
from datetime import timedelta

from batchai_recipes.session.redaction import HIDDEN


def as_document(value: object) -> object:
    """Return a value as a JSON document; what its representation hides is hidden here too.

    Args:
        value: A value of attrs, a collection, a path, a time span, or what JSON knows by itself.

    Example:
        >>> from batchai_recipes import StorageAccount
        >>> as_document([StorageAccount("demo", "a2V5", "https://files.test")])
        [{'type': 'StorageAccount', 'name': 'demo', 'key': '<secret>', \
'files_endpoint': 'https://files.test'}]
    """
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    if isinstance(value, dict):
        return {str(key): as_document(one) for key, one in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [as_document(one) for one in value]
    if isinstance(value, timedelta):
        return value.total_seconds()
    fields = getattr(type(value), "__attrs_attrs__", None)
    if fields is None:
        return os.fspath(value) if isinstance(value, os.PathLike) else repr(value)
    shown = {one.name: _field(getattr(value, one.name), hidden=one.repr is False) for one in fields}
    return {"type": type(value).__name__, **shown}


def _field(value: object, *, hidden: bool) -> object:
    if not hidden:
        return as_document(value)
    if isinstance(value, tuple) and all(isinstance(one, tuple) for one in value):
        return [[one[0], HIDDEN] for one in value]  # variables: their names are no secret
    return None if value is None else HIDDEN

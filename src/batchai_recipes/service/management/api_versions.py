"""The versions of the APIs: Batch AI has one, the resources API has had many."""

import re
from datetime import date
from http import HTTPStatus
from typing import Final

from batchai_recipes.service.management.calls import Endpoint
from batchai_recipes.service.management.errors import ManagementError

BATCHAI_VERSION: Final = "2018-05-01"
"""The only version of the Batch AI API that there is."""

_VERSION: Final = re.compile(r"(\d{4}-\d{2}-\d{2})(-preview)?", re.ASCII)


def check_version(endpoint: Endpoint, version: str | None) -> None:
    """Refuse a request of a version that its endpoint has not.

    Args:
        endpoint: The endpoint.
        version: The version that the request names, if any.

    Raises:
        ManagementError: The endpoint has no such version (400).
    """
    if version == BATCHAI_VERSION:
        return  # a date as good as any for the other API
    if not version:
        raise ManagementError(
            HTTPStatus.BAD_REQUEST,
            "MissingApiVersionParameter",
            "The api-version query parameter (?api-version=) is required for all requests.",
        )
    if endpoint.api == "batchai":
        raise ManagementError(
            HTTPStatus.BAD_REQUEST,
            "InvalidApiVersionParameter",
            f"The api-version '{version[:100]}' is invalid. The supported versions are "
            f"'{BATCHAI_VERSION}'.",
        )
    if not _is_date(version):
        raise ManagementError(
            HTTPStatus.BAD_REQUEST,
            "InvalidApiVersionParameter",
            f"The api-version '{version[:100]}' is invalid. It must be a date, as '2021-04-01'.",
        )


def _is_date(version: str) -> bool:
    match = _VERSION.fullmatch(version)
    try:
        return match is not None and bool(date.fromisoformat(match.group(1)))
    except ValueError:
        return False

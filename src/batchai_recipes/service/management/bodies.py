"""Reading a request body in the shape that its noun declares."""

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from batchai_recipes.service.management.errors import ManagementError
from batchai_recipes.service.management.shapes import Property, ShapeError, Structure, Words

TAGS: Final = Property(Words())
"""The tags of a resource that has some."""

# What a GET shows of every resource, so that a client can send back what it got.
ENVELOPE: Final = frozenset({"id", "name", "type"})
"""The properties around ``properties`` that only the service sets."""

_REGION: Final = re.compile(r"[a-z0-9]{1,64}")


def read_body(shape: Structure, document: Any) -> dict[str, Any]:
    """Return a request's body in its normal form.

    Args:
        shape: What it must look like.
        document: The JSON document; None where the request has no body.

    Raises:
        ManagementError: It looks otherwise (400); the error names the property.
    """
    if document is None:
        raise ManagementError(
            HTTPStatus.BAD_REQUEST,
            "InvalidRequestContent",
            "The request content was invalid: a JSON object is expected, and the body is empty.",
        )
    try:
        return shape.read(document, "")
    except ShapeError as error:
        raise ManagementError(
            HTTPStatus.BAD_REQUEST,
            error.detail.code,
            error.detail.message,
            target=error.detail.target,
        ) from error


def region(body: Mapping[str, Any]) -> str:
    """Return a body's location as Azure writes it, ``northeurope`` for ``North Europe``.

    Args:
        body: A body in its normal form, with a location.

    Raises:
        ManagementError: It is no name of a region (400).
    """
    normal = str(body["location"]).replace(" ", "").lower()
    if _REGION.fullmatch(normal) is None:
        raise ManagementError(
            HTTPStatus.BAD_REQUEST,
            "LocationNotAvailableForResourceType",
            f"The provided location '{body['location'][:100]}' is not a region. Use the name of "
            "an Azure region, as 'northeurope'.",
            target="location",
        )
    return normal

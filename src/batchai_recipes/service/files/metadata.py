"""User metadata on the wire: headers ``x-ms-meta-NAME``."""

from collections.abc import Iterable, Mapping
from typing import Final

from batchai_recipes.service.files.errors import ErrorCode, FileServiceError

PREFIX: Final = "x-ms-meta-"
MAXIMUM_BYTES: Final = 8 * 1024


def read_metadata(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Collect the metadata of a request.

    Newer clients also send a header ``x-ms-meta`` without a name; it is not metadata.

    Args:
        headers: The request's headers, names as the client wrote them.

    Returns:
        The values by name; a name keeps its case.

    Raises:
        FileServiceError: A name is empty, or all of it is larger than 8 KiB.

    Example:
        >>> read_metadata([("x-ms-meta-Kind", "data"), ("x-ms-meta", "{'Kind': 'data'}")])
        {'Kind': 'data'}
    """
    metadata = {
        name[len(PREFIX) :]: value for name, value in headers if name.lower().startswith(PREFIX)
    }
    if "" in metadata:
        raise FileServiceError(
            ErrorCode.EMPTY_METADATA_KEY, "A metadata header needs a name after x-ms-meta-."
        )
    if sum(len(name) + len(value) for name, value in metadata.items()) > MAXIMUM_BYTES:
        raise FileServiceError(
            ErrorCode.METADATA_TOO_LARGE,
            f"Metadata, names and values together, has at most {MAXIMUM_BYTES} bytes.",
        )
    return metadata


def write_metadata(metadata: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return metadata as headers of an answer.

    Args:
        metadata: The values by name.
    """
    return [(f"{PREFIX}{name}", value) for name, value in metadata.items()]

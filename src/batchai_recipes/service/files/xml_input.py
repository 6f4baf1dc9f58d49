"""The XML documents that requests carry."""

from typing import Final
from xml.etree.ElementTree import Element, ParseError, fromstring

from batchai_recipes.service.files.errors import ErrorCode, FileServiceError

_DEEPEST: Final = 10
"""More levels than any of the service's documents has, and few enough for recursion."""


def read_xml(body: bytes, root: str) -> Element:
    """Read a document.

    Args:
        body: The document, in UTF-8.
        root: The name of its root.

    Raises:
        FileServiceError: It is no such document.

    Example:
        >>> read_xml(b"<KeyInfo><Start /></KeyInfo>", "KeyInfo").tag
        'KeyInfo'
    """
    try:
        text = body.decode("utf-8-sig")
        if "<!" in text:  # no document type, and so no entities that grow
            raise invalid_document(root, "it must not declare a document type")
        element = fromstring(text)  # noqa: S314 - without entities, there is nothing to expand
    except (UnicodeDecodeError, ParseError, ValueError) as error:
        raise invalid_document(root, "it is no XML in UTF-8") from error
    if element.tag != root:
        raise invalid_document(root, f"its root must be {root}")
    below = [element]
    for _ in range(_DEEPEST):
        below = [child for parent in below for child in parent]
    if below:
        raise invalid_document(root, "its elements are nested too deep")
    return element


def invalid_document(root: str, reason: str) -> FileServiceError:
    """Return the refusal of a document.

    Args:
        root: What it should be.
        reason: What is wrong with it.
    """
    return FileServiceError(
        ErrorCode.INVALID_XML_DOCUMENT, f"The document {root} cannot be used: {reason}."
    )

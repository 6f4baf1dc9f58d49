"""The XML documents that requests carry."""

from xml.etree.ElementTree import Element, ParseError, fromstring

from batchai_recipes.service.files.errors import ErrorCode, FileServiceError


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

"""Pages of listings: what a client asks to see, and the marker that leads to the next page."""

import base64
import binascii
from typing import Final

from attrs import frozen

from batchai_recipes.service.files.call import Call
from batchai_recipes.service.files.errors import ErrorCode, FileServiceError, invalid_parameter
from batchai_recipes.service.files.xml_documents import Page

MAXIMUM_RESULTS: Final = 5000


@frozen
class PageRequest:
    """The page of a listing that a client asks for.

    Args:
        prefix: What the names start with.
        marker: The marker as the client sent it.
        after: The name after which the page starts: the marker's meaning. Since it is a name and no
            number, entries that come and go between two pages make none appear twice or be skipped.
        limit: How many entries at most.
    """

    prefix: str
    marker: str
    after: str
    limit: int

    @classmethod
    def of(cls, call: Call) -> "PageRequest":
        """Read what a request asks for.

        Args:
            call: The request.

        Raises:
            FileServiceError: A parameter cannot be used.
        """
        marker = call.parameter("marker")
        return cls(
            call.parameter("prefix"), marker, _decode(marker), _limit(call.parameter("maxresults"))
        )

    def page(self, last: str | None) -> Page:
        """Describe the page that was found.

        Args:
            last: The last name on it where more follow; None where it is the last page.
        """
        return Page(self.prefix, self.marker, self.limit, "" if last is None else _encode(last))


def _limit(text: str) -> int:
    if not text:
        return MAXIMUM_RESULTS
    try:
        limit = int(text[:20])
    except ValueError as error:
        raise invalid_parameter("maxresults", text, "it must be a number") from error
    if limit < 1:
        raise FileServiceError(
            ErrorCode.OUT_OF_RANGE_QUERY_PARAMETER_VALUE,
            f"maxresults must be between 1 and {MAXIMUM_RESULTS}.",
            details={"QueryParameterName": "maxresults", "QueryParameterValue": text},
        )
    return min(limit, MAXIMUM_RESULTS)


def _encode(name: str) -> str:
    return base64.urlsafe_b64encode(name.encode()).decode()


def _decode(marker: str) -> str:
    try:
        return base64.b64decode(marker, altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise invalid_parameter(
            "marker", marker, "it must be the NextMarker of the page before"
        ) from error

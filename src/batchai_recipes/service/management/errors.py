"""The refusals of the management plane, in Azure Resource Manager's codes and shape.

``ManagementError`` is what every handler raises; the named ones below are those that several nouns
share. What only one noun says stands in that noun's module.
"""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from http import HTTPStatus

from attrs import frozen

from batchai_recipes.service.management.documents import JSONResponse


@frozen
class ErrorDetail:
    """One of several things that are wrong with a request.

    Args:
        code: Azure's code.
        message: What is wrong and what to do.
        target: The property, as ``properties.scaleSettings.manual.targetNodeCount``.
    """

    code: str
    message: str
    target: str


class ManagementError(Exception):
    """A request is refused.

    Args:
        status: The HTTP status.
        code: Azure's code, for programs.
        message: What was asked, what is wrong and what to do, for people.
        target: The property or parameter that is wrong, where it is one.
        details: All that is wrong, where it is more than one thing.
        headers: Further headers of the answer.
    """

    def __init__(
        self,
        status: HTTPStatus,
        code: str,
        message: str,
        *,
        target: str | None = None,
        details: Iterable[ErrorDetail] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.target = target
        self.details = tuple(details)
        self.headers = dict(headers or {})

    def response(self) -> JSONResponse:
        """Return the answer that tells the client."""
        error: dict[str, object] = {"code": self.code, "message": self.message}
        if self.target is not None:
            error["target"] = self.target
        if self.details:
            error["details"] = [
                {"code": detail.code, "message": detail.message, "target": detail.target}
                for detail in self.details
            ]
        return JSONResponse({"error": error}, status_code=self.status, headers=self.headers)


def invalid_parameter(name: str, message: str) -> ManagementError:
    """Return the refusal of a query parameter.

    Args:
        name: The parameter.
        message: What is wrong with it and what to do.
    """
    return ManagementError(HTTPStatus.BAD_REQUEST, "InvalidParameterValue", message, target=name)


def being_deleted(label: str, noun: str, name: str) -> ManagementError:
    """Return the refusal to touch what is on its way out.

    Args:
        label: The kind of thing as codes write it, as ``Workspace``.
        noun: The kind of thing as messages write it, as ``workspace``.
        name: Its name.
    """
    return ManagementError(
        HTTPStatus.CONFLICT,
        f"{label}BeingDeleted",
        f"The {noun} {name} is being deleted. Wait until it is gone, then try again.",
    )


def suggestion(name: str, valid: Iterable[str]) -> str:
    """Return the end of a message that names the nearest valid name, or nothing.

    Args:
        name: The name that was given.
        valid: The names that there are.

    Example:
        >>> suggestion("mycluser", ["mycluster", "other"])
        ". Did you mean 'mycluster'?"
        >>> suggestion("mycluser", ["other"])
        ''
    """
    by_folded = {candidate.casefold(): candidate for candidate in valid}
    close = get_close_matches(name.casefold(), by_folded, n=1)
    return f". Did you mean '{by_folded[close[0]]}'?" if close else ""

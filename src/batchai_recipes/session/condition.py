"""Requests on a condition, so that of two sessions that do the same thing one is told so."""

from collections.abc import Callable, Collection
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from batchai_recipes.refusals import status_of
from batchai_recipes.session.service_clock import ServiceClock

if TYPE_CHECKING:
    from azure.core.pipeline import PipelineRequest, PipelineResponse
    from azure.core.rest import HttpRequest, HttpResponse

CHANGED: Final = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.PRECONDITION_FAILED})
# Of what is to be new, "not found" says that its place is not there, as a subscription.
MADE_OR_DELETING: Final = frozenset({HTTPStatus.PRECONDITION_FAILED, HTTPStatus.CONFLICT})
# Of a change, a conflict says that the thing is being deleted; of a deletion, that it must not be.
CHANGED_OR_DELETING: Final = CHANGED | {HTTPStatus.CONFLICT}


def only_new(request: "PipelineRequest[HttpRequest]") -> None:
    """Make something only if it is not there; made to be a client's ``raw_request_hook``.

    Args:
        request: A request of an operation; those that ask how it goes are left as they are.
    """
    if request.http_request.method == "PUT":
        request.http_request.headers["If-None-Match"] = "*"


def only_as_read(etag: str) -> "Callable[[PipelineRequest[HttpRequest]], None]":
    """Return a ``raw_request_hook`` that changes or deletes something only as it was read.

    Args:
        etag: The state in which it was read; empty for whatever it is.
    """

    def condition(request: "PipelineRequest[HttpRequest]") -> None:
        if etag and request.http_request.method != "GET":
            request.http_request.headers["If-Match"] = etag

    return condition


class StateRead:
    """Notes the state in which something is read.

    Args:
        clock: The service's clock; told by the answer.

    Attributes:
        etag: The entity tag of the state; empty where the service names none.
    """

    def __init__(self, clock: ServiceClock) -> None:
        self._clock = clock
        self.etag = ""

    def note(self, response: "PipelineResponse[HttpRequest, HttpResponse]") -> None:
        """Note the state; made to be a client's ``raw_response_hook``.

        Args:
            response: The answer.
        """
        self._clock.note(response)
        self.etag = response.http_response.headers.get("ETag") or self.etag


def unless_changed(act: Callable[[], object], changed: Collection[HTTPStatus] = CHANGED) -> bool:
    """Do something on a condition; tell whether it was done.

    Args:
        act: Sends the request.
        changed: The answers that say that the condition is not met.
    """
    from azure.common import AzureException  # noqa: PLC0415 - loaded on first use
    from azure.core.exceptions import AzureError  # noqa: PLC0415 - loaded on first use

    try:
        act()
    except (AzureError, AzureException) as error:
        status = status_of(error)
        if status in changed:
            return False
        if status != HTTPStatus.NO_CONTENT:
            raise
    return True

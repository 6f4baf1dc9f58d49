"""Requests on a condition, so that of two sessions that do the same thing one is told so."""

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from azure.core.pipeline import PipelineRequest
    from azure.core.rest import HttpRequest


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

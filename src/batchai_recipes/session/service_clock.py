"""The time as the service tells it, so that machines whose clocks differ agree on leases."""

import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from batchai_recipes.refusals import explained

if TYPE_CHECKING:
    from azure.core.pipeline import PipelineResponse
    from azure.core.rest import HttpRequest, HttpResponse

    from batchai_recipes.connection import Connection


class ServiceClock:
    """Tells the service's time from the ``Date`` headers of its answers.

    Args:
        monotonic: Tells seconds on a clock that never goes back.

    Attributes:
        server: What the service's answers say that it is, with its version; None before one does.

    Example:
        >>> clock = ServiceClock(lambda: 0.0)
        >>> clock.set_by("Tue, 24 Nov 2026 12:00:00 GMT")
        >>> print(clock.now())
        2026-11-24 12:00:00+00:00
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._known = (datetime.now(timezone.utc), monotonic())
        self.server: str | None = None

    def now(self) -> datetime:
        """Return the service's present time; this machine's while no answer has told it."""
        told, at = self._known
        return told + timedelta(seconds=self._monotonic() - at)

    def ask(self, connection: "Connection") -> datetime:
        """Ask the service for its present time.

        Args:
            connection: Where the service is.

        Raises:
            RequestError: The service did not answer.
        """
        with explained("ask the service for its time"):
            groups = connection.resources.resource_groups
            groups.check_existence("batchai-recipes", raw_response_hook=self.note)
        return self.now()

    def note(self, response: "PipelineResponse[HttpRequest, HttpResponse]") -> None:
        """Take the time from an answer; made to be a client's ``raw_response_hook``.

        Args:
            response: The answer.
        """
        self.set_by(response.http_response.headers.get("Date"))
        self.server = response.http_response.headers.get("Server") or self.server

    def set_by(self, date: str | None) -> None:
        """Take the time from a ``Date`` header.

        Args:
            date: The header; without effect where it is missing or no date.
        """
        try:
            told = parsedate_to_datetime(date or "")
        except (TypeError, ValueError):
            return
        self._known = (told.astimezone(timezone.utc), self._monotonic())

"""Outages: a service that does not answer for a while, as when it is restarted."""

from collections.abc import Callable, Iterator
from http import HTTPStatus
from typing import Final, TypeVar

from batchai_recipes.errors import BatchAIRecipesError, RequestError, WaitTimeoutError
from batchai_recipes.pacing import Pacing
from batchai_recipes.refusals import status_of

T = TypeVar("T")

_AWAY: Final = frozenset(
    {
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.INTERNAL_SERVER_ERROR,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)


class Outage:
    """Waits for a service that does not answer, as long as a pacing says.

    The Azure clients try again by themselves for some seconds. This goes on after that, where
    nothing is lost by asking again.

    Args:
        what: What is waited for, such as ``job myjob``.
        pacing: How often to ask again, and for how long.
        report: Told when it begins and ends.

    Example:
        >>> from azure.core.exceptions import ServiceRequestError
        >>> from batchai_recipes.refusals import explained
        >>> answers = iter([ServiceRequestError("connection refused"), "running"])
        >>> def ask():
        ...     with explained("get job myjob"):
        ...         answer = next(answers)
        ...         if isinstance(answer, Exception):
        ...             raise answer
        ...         return answer
        >>> Outage("job myjob", Pacing(sleep=lambda seconds: None), print).through(ask)
        Waiting up to 300 s for the service, which does not answer: Failed to get job myjob: \
connection refused (does the service run? check BATCHAI_ENDPOINT and AZURE_AUTHORITY_HOST)
        The service answers again
        'running'
    """

    def __init__(self, what: str, pacing: Pacing, report: Callable[[str], object]) -> None:
        self._what = what
        self._pacing = pacing
        self._report = report

    def through(self, ask: Callable[[], T], *, timeout: float | None = None) -> T:
        """Ask the service, again and again while it does not answer.

        Args:
            ask: Asks it; without effect where it fails.
            timeout: How long to wait at most, in seconds, where that is less.

        Returns:
            What it returned.

        Raises:
            WaitTimeoutError: The timeout has passed.
            BatchAIRecipesError: The service has not answered for too long, or `ask` failed
                otherwise.
        """
        began = self._pacing.monotonic()
        pauses = self._pacing.pauses()
        waits = False
        while True:
            try:
                answer = ask()
                break
            except BatchAIRecipesError as error:
                if not is_outage(error):
                    raise
                self._check(error, self._pacing.monotonic() - began, timeout)
                if not waits:
                    self._report(
                        f"Waiting up to {self._pacing.outage:g} s for the service, which does not "
                        f"answer: {error}"
                    )
                waits = True
                next(pauses)
        if waits:
            self._report("The service answers again")
        return answer

    def _check(self, error: BatchAIRecipesError, waited: float, timeout: float | None) -> None:
        if timeout is not None and waited > timeout:
            raise WaitTimeoutError(
                f"{self._what} was not heard of within {timeout:g} s and may go on: {error}"
            ) from error
        if waited >= self._pacing.outage:
            raise RequestError(
                f"{error}; the service has not answered for {waited:.0f} s, and {self._what} may "
                f"go on without it: see to it that the service runs and can be reached, then ask "
                f"again; Pacing(outage=SECONDS) waits longer"
            ) from error


def is_outage(error: BatchAIRecipesError) -> bool:
    """Tell whether an error says that a service does not answer, or cannot just now.

    Args:
        error: What a request failed with.
    """
    from azure.core.exceptions import (  # noqa: PLC0415 - loaded on first use
        ServiceRequestError,
        ServiceResponseError,
    )

    return any(
        isinstance(cause, (ServiceRequestError, ServiceResponseError)) or status_of(cause) in _AWAY
        for cause in _causes(error)
    )


def _causes(error: BaseException) -> Iterator[Exception]:
    """Yield what caused an error, and what caused that: a token that could not be had, for one."""
    cause = error.__cause__
    while isinstance(cause, Exception):
        yield cause
        cause = cause.__cause__

"""The refusals of the token endpoint, in the words and shape of Microsoft Entra ID."""

import uuid
from http import HTTPStatus

from starlette.responses import JSONResponse

from batchai_recipes.service.clock import Clock


class GrantError(Exception):
    """A request for a token was refused.

    Args:
        error: The code of OAuth 2.
        number: Entra ID's own number, as in AADSTS7000215.
        message: What is wrong and what to do.
        status: The HTTP status.
    """

    def __init__(
        self, error: str, number: int, message: str, status: HTTPStatus = HTTPStatus.BAD_REQUEST
    ) -> None:
        super().__init__(message)
        self.error = error
        self.number = number
        self.message = message
        self.status = status

    def response(self, clock: Clock) -> JSONResponse:
        """Return the answer that tells the client.

        Args:
            clock: Tells the time that the answer names.
        """
        trace, correlation = str(uuid.uuid4()), str(uuid.uuid4())
        timestamp = clock.now().strftime("%Y-%m-%d %H:%M:%SZ")
        return JSONResponse(
            {
                "error": self.error,
                "error_description": (
                    f"AADSTS{self.number}: {self.message} Trace ID: {trace} "
                    f"Correlation ID: {correlation} Timestamp: {timestamp}"
                ),
                "error_codes": [self.number],
                "timestamp": timestamp,
                "trace_id": trace,
                "correlation_id": correlation,
            },
            status_code=self.status,
            headers={"Cache-Control": "no-store", "Pragma": "no-cache"},
        )

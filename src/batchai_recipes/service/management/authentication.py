"""The gate of the management plane: no request gets past it without a valid bearer token."""

from http import HTTPStatus
from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from batchai_recipes.service.identity.tokens import TokenError, Tokens
from batchai_recipes.service.management.errors import ManagementError

_SCHEME: Final = "bearer"


class Authentication:
    """Lets requests with a valid token through and answers all others with 401.

    Args:
        app: What answers the others.
        tokens: Checks the tokens.
    """

    def __init__(self, app: ASGIApp, tokens: Tokens) -> None:
        self._app = app
        self._tokens = tokens

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection; see ASGI."""
        if scope["type"] == "http":
            try:
                self._check(Headers(scope=scope).get("authorization", ""))
            except TokenError as error:
                await self._refusal(error).response()(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _check(self, authorization: str) -> None:
        scheme, _, token = authorization.strip().partition(" ")
        if not authorization:
            raise TokenError(
                "AuthenticationFailed",
                "Authentication failed. The 'Authorization' header is missing.",
            )
        if scheme.lower() != _SCHEME or not token.strip():
            raise TokenError(
                "AuthenticationFailed",
                "Authentication failed. The 'Authorization' header must read 'Bearer TOKEN'.",
            )
        self._tokens.verify(token.strip())

    def _refusal(self, error: TokenError) -> ManagementError:
        challenge = (
            f'Bearer authorization_uri="{self._tokens.authorization_uri}", '
            f'error="invalid_token", error_description="{error.code}"'
        )
        return ManagementError(
            HTTPStatus.UNAUTHORIZED,
            error.code,
            error.message,
            headers={"WWW-Authenticate": challenge},
        )

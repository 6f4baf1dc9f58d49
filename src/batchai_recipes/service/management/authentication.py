"""The gate of the management plane: no request gets past it without a valid bearer token."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from attrs import frozen

from batchai_recipes.service.identity.principals import Principals
from batchai_recipes.service.identity.tokens import TokenError, Tokens
from batchai_recipes.service.management.errors import ManagementError

_SCHEME: Final = "bearer"


@frozen
class Authentication:
    """Turns away every request without a valid token.

    Args:
        tokens: Checks the tokens.
        principals: Tells whether the principal that a token was issued to is still there.
    """

    tokens: Tokens
    principals: Principals

    def check(self, headers: Mapping[bytes, bytes]) -> None:
        """Let a request with a valid token pass.

        Args:
            headers: The request's headers, names in lower case.

        Raises:
            ManagementError: It has none (401).
        """
        try:
            self._check(headers.get(b"authorization", b"").decode("latin-1"))
        except TokenError as error:
            raise self._refusal(error) from error

    def _check(self, authorization: str) -> None:
        if not authorization:
            raise TokenError(
                "AuthenticationFailed",
                "Authentication failed. The 'Authorization' header is missing.",
            )
        scheme, _, token = authorization.strip().partition(" ")
        if scheme.lower() != _SCHEME or not token.strip():
            raise TokenError(
                "AuthenticationFailed",
                "Authentication failed. The 'Authorization' header must read 'Bearer TOKEN'.",
            )
        client_id = self.tokens.verify(token.strip()).client_id
        if not self.principals.exists(client_id):
            raise TokenError(
                "InvalidAuthenticationToken",
                f"The access token was issued to the principal '{client_id}', which has been "
                "removed. Sign in as another one.",
            )

    def _refusal(self, error: TokenError) -> ManagementError:
        challenge = (
            f'Bearer authorization_uri="{self.tokens.authorization_uri}", '
            f'error="invalid_token", error_description="{error.code}"'
        )
        return ManagementError(
            HTTPStatus.UNAUTHORIZED,
            error.code,
            error.message,
            headers={"WWW-Authenticate": challenge},
        )

"""Bearer tokens: ``Authorization: Bearer TOKEN``, over https only.

Source:
    https://learn.microsoft.com/rest/api/storageservices/authorize-with-azure-active-directory
"""

from typing import Final

from batchai_recipes.service.files.accounts import Accounts
from batchai_recipes.service.files.addressing import Address
from batchai_recipes.service.files.authentication import authentication_failed, known_account
from batchai_recipes.service.files.call import Call
from batchai_recipes.service.files.errors import ErrorCode, FileServiceError, invalid_header
from batchai_recipes.service.files.grants import Grant, TokenGrant
from batchai_recipes.service.identity.principals import Principals
from batchai_recipes.service.identity.tokens import STORAGE_AUDIENCE, Claims, TokenError, Tokens

INTENT: Final = "x-ms-file-request-intent"
_SCHEME: Final = "bearer"
_SINCE: Final = "2022-11-02"


class StorageTokens:
    """The tokens that storage accounts take.

    Args:
        tokens: Checks tokens.
        principals: Those that are there; a token of one that was removed is good for nothing.
    """

    def __init__(self, tokens: Tokens, principals: Principals) -> None:
        self._tokens = tokens
        self._principals = principals

    @property
    def challenge(self) -> str:
        """What tells a client where to get a token, and for what."""
        return (
            f"Bearer authorization_uri={self._tokens.authorization_uri}/oauth2/authorize "
            f"resource_id={STORAGE_AUDIENCE}"
        )

    @property
    def secret(self) -> bytes:
        """What user delegation keys follow from."""
        return self._tokens.secret

    def claims(self, token: str, account: str) -> Claims:
        """Check a token for a storage account.

        Args:
            token: The token.
            account: The account.

        Returns:
            What the token says.

        Raises:
            FileServiceError: It is not good, or not for the account.
        """
        audiences = (STORAGE_AUDIENCE, f"https://{account}.file.core.windows.net")
        try:
            claims = self._tokens.verify(token, audiences=audiences)
        except TokenError as error:
            raise self._refusal(error.message) from error
        if not self._principals.exists(claims.client_id):
            raise self._refusal(
                f"The token is of the principal {claims.client_id!r}, which has been removed."
            )
        return claims

    def has_object(self, object_id: str) -> bool:
        """Tell whether a principal is still there.

        Args:
            object_id: Its object in the tenant.
        """
        return any(
            self._tokens.object_id(principal.client_id) == object_id
            for principal in self._principals.all()
        )

    def _refusal(self, detail: str) -> FileServiceError:
        return FileServiceError(
            ErrorCode.INVALID_TOKEN,
            "Server failed to authenticate the request. Please refer to the information in the "
            "www-authenticate header.",
            details={"AuthenticationErrorDetail": detail},
            headers={"WWW-Authenticate": self.challenge},
        )


class BearerAuthenticator:
    """Verifies tokens that the service's own identity endpoints issued.

    Args:
        accounts: The accounts that there are.
        tokens: Checks tokens.
    """

    def __init__(self, accounts: Accounts, tokens: StorageTokens) -> None:
        self._accounts = accounts
        self._tokens = tokens

    def authenticate(self, call: Call, address: Address) -> Grant | None:
        """Judge a request.

        Args:
            call: The request.
            address: What it is about.

        Returns:
            Yes: everything is permitted. Not mine: None.

        Raises:
            FileServiceError: No: the token is not good, or not sent as it must be.
        """
        scheme, _, token = call.headers.get("authorization", "").partition(" ")
        if scheme.lower() != _SCHEME:
            return None
        if call.scheme != "https":
            raise authentication_failed(
                "A token is taken by https only, where nobody can listen; use the https endpoint.",
                f"Authentication scheme Bearer is not supported by {call.scheme}.",
            )
        known_account(self._accounts, address.account)
        claims = self._tokens.claims(token.strip(), address.account)
        if call.version < _SINCE:
            raise invalid_header(
                "x-ms-version", call.version, f"tokens are taken since version {_SINCE}"
            )
        return TokenGrant(claims.tenant_id, claims.object_id, call.headers.get(INTENT))

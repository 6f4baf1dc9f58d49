"""Who sent a request: a chain of authenticators, each of which says yes, no or "not mine"."""

from collections.abc import Sequence
from typing import Final, Protocol

from attrs import frozen

from batchai_recipes.service.files.accounts import Account, Accounts
from batchai_recipes.service.files.addressing import Address
from batchai_recipes.service.files.call import Call
from batchai_recipes.service.files.errors import ErrorCode, FileServiceError
from batchai_recipes.service.files.grants import Grant


class Authenticator(Protocol):
    """Knows one way of signing requests."""

    def authenticate(self, call: Call, address: Address) -> Grant | None:
        """Judge a request.

        Args:
            call: The request.
            address: What it is about.

        Returns:
            Yes: what the signature permits. Not mine: None.

        Raises:
            FileServiceError: No: the request is signed in this way, and not validly.
        """
        ...


@frozen
class AuthenticationChain:
    """Asks one authenticator after the other; nobody's request is refused.

    Args:
        authenticators: In the order in which they are asked.
        token_challenge: Tells clients that come by https where to get a token; None where there are
            no tokens.
    """

    authenticators: Sequence[Authenticator]
    token_challenge: str | None = None

    def authenticate(self, call: Call, address: Address) -> Grant:
        """Find out what a request may do.

        Args:
            call: The request.
            address: What it is about.

        Raises:
            FileServiceError: It is signed wrongly, in an unknown way, or not at all.
        """
        for authenticator in self.authenticators:
            grant = authenticator.authenticate(call, address)
            if grant is not None:
                return grant
        if "authorization" in call.headers:
            raise FileServiceError(
                ErrorCode.INVALID_AUTHENTICATION_INFO,
                "The Authorization header has a scheme that this service does not know; it must "
                "read 'SharedKey ACCOUNT:SIGNATURE' or, by https, 'Bearer TOKEN'.",
            )
        raise FileServiceError(
            ErrorCode.NO_AUTHENTICATION_INFORMATION,
            "The request is not signed. Sign it with an account key (Authorization: SharedKey) or "
            "put a shared access signature into the query.",
            headers={
                "WWW-Authenticate": self.token_challenge
                if self.token_challenge is not None and call.scheme == "https"
                else "SharedKey"
            },
        )


def authentication_failed(message: str, detail: str) -> FileServiceError:
    """Return the refusal of a request whose signature is not valid.

    Args:
        message: What is wrong and what to do.
        detail: What helps to find out why, such as the string that the service signed; no secret.
    """
    return FileServiceError(
        ErrorCode.AUTHENTICATION_FAILED, message, details={"AuthenticationErrorDetail": detail}
    )


def known_account(accounts: Accounts, name: str) -> Account:
    """Return the account that a request is about.

    Args:
        accounts: All accounts.
        name: The account's name.

    Raises:
        FileServiceError: There is none.
    """
    account = accounts.get(name)
    if account is None:
        raise authentication_failed(_UNKNOWN_ACCOUNT, f"There is no storage account {name!r} here.")
    return account


_UNKNOWN_ACCOUNT: Final = (
    "No account of this service could have signed the request. Check the account name in the "
    "address: http://HOST:PORT/ACCOUNT/SHARE/path."
)

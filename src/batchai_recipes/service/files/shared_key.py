"""The SharedKey scheme: ``Authorization: SharedKey ACCOUNT:SIGNATURE``.

Source:
    https://learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key
"""

import re
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime, parsedate_to_datetime
from functools import lru_cache
from typing import Final

from batchai_recipes.service.clock import Clock
from batchai_recipes.service.files.accounts import Accounts
from batchai_recipes.service.files.addressing import Address
from batchai_recipes.service.files.authentication import authentication_failed, known_account
from batchai_recipes.service.files.call import Call
from batchai_recipes.service.files.errors import ErrorCode, FileServiceError
from batchai_recipes.service.files.grants import AccountKeyGrant, Grant
from batchai_recipes.service.files.header_order import header_orders
from batchai_recipes.service.files.signing import is_signed

DATE_WINDOW: Final = timedelta(minutes=15)

_SCHEME: Final = "sharedkey"
_SIGNED_HEADERS: Final = (
    "content-encoding",
    "content-language",
    "content-length",
    "content-md5",
    "content-type",
    "date",
    "if-modified-since",
    "if-match",
    "if-none-match",
    "if-unmodified-since",
    "range",
)
_FOLD: Final = re.compile(r"\s*[\r\n]+\s*")


class SharedKeyAuthenticator:
    """Verifies requests signed with an account key.

    Args:
        accounts: Whose keys count.
        clock: Tells the time that a request's date is compared with.
        window: How far the two may be apart.
    """

    def __init__(
        self, accounts: Accounts, clock: Clock, *, window: timedelta = DATE_WINDOW
    ) -> None:
        self._accounts = accounts
        self._clock = clock
        self._window = window

    def authenticate(self, call: Call, address: Address) -> Grant | None:
        """Judge a request.

        Args:
            call: The request.
            address: What it is about.

        Returns:
            Yes: everything is permitted. Not mine: None.

        Raises:
            FileServiceError: No: another account, an old date or a wrong signature.
        """
        scheme, _, credential = call.headers.get("authorization", "").partition(" ")
        if scheme.lower() != _SCHEME:
            return None
        name, colon, signature = credential.strip().partition(":")
        if not (name and colon and signature):
            raise FileServiceError(
                ErrorCode.INVALID_AUTHENTICATION_INFO,
                "The Authorization header must read 'SharedKey ACCOUNT:SIGNATURE'.",
            )
        account = known_account(self._accounts, address.account)
        if name != account.name:
            raise authentication_failed(
                "The request is signed for another account than the one it is about.",
                f"The signature is for {name!r}, the address is of {account.name!r}.",
            )
        candidates = strings_to_sign(call, account.name)
        if not is_signed(account.keys, candidates, signature):
            raise authentication_failed(
                "The signature in the Authorization header is not one by a key of the account. "
                "Compare the string in AuthenticationErrorDetail with the one that you signed; if "
                "they are equal, the key is wrong.",
                f"Server used following string to sign: '{candidates[0]}'.",
            )
        self._check_date(call)
        return AccountKeyGrant()

    def _check_date(self, call: Call) -> None:
        text = call.headers.get("x-ms-date") or call.headers.get("date", "")
        date = _parse_date(text)
        now = self._clock.now()
        if date is None or abs(now - date) > self._window:
            minutes = int(self._window.total_seconds() // 60)
            raise authentication_failed(
                f"The request's date must be within {minutes} minutes of the service's time; set "
                "x-ms-date and the machine's clock right.",
                f"The request is dated {text!r}; the service's time is "
                f"{format_datetime(now.astimezone(timezone.utc), usegmt=True)}.",
            )


def strings_to_sign(call: Call, account: str) -> Sequence[str]:
    """Return the texts whose signature a client may have sent, one per order of headers.

    Args:
        call: The request.
        account: The account's name.

    Returns:
        The distinct texts; the one in plain order first.
    """
    headers = call.headers
    fixed = [headers.get(name, "") for name in _SIGNED_HEADERS]
    if headers.get("content-length") == "0":
        fixed[_SIGNED_HEADERS.index("content-length")] = ""
    if "x-ms-date" in headers:
        fixed[_SIGNED_HEADERS.index("date")] = ""
    start = "\n".join([call.verb, *fixed]) + "\n"
    resource = canonical_resource(account, call.raw_path, call.parameters)
    signed = [
        (name, _FOLD.sub(" ", value)) for name, value in headers.items() if name.startswith("x-ms-")
    ]
    return [
        start + "".join(f"{name}:{value}\n" for name, value in order) + resource
        for order in header_orders(signed)
    ]


def canonical_resource(account: str, raw_path: bytes, parameters: Iterable[tuple[str, str]]) -> str:
    r"""Return what a signature covers of the address.

    Args:
        account: The account's name.
        raw_path: The path as sent.
        parameters: The decoded query, names in lower case.

    Example:
        >>> canonical_resource("demo", b"/demo/data", [("restype", "share"), ("comp", "acl")])
        '/demo/demo/data\ncomp:acl\nrestype:share'
    """
    values: dict[str, list[str]] = {}
    for name, value in parameters:
        values.setdefault(name, []).append(value)
    lines = [f"\n{name}:{','.join(sorted(given))}" for name, given in sorted(values.items())]
    return f"/{account}{raw_path.decode('latin-1')}{''.join(lines)}"


@lru_cache(maxsize=64)
def _parse_date(text: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(text)
        return date.replace(tzinfo=timezone.utc) if date.tzinfo is None else date
    except (TypeError, ValueError, OverflowError):
        return None

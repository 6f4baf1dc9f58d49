"""Shared access signatures: the texts they sign, and making one for a file.

Source:
    https://learn.microsoft.com/rest/api/storageservices/create-service-sas
    https://learn.microsoft.com/rest/api/storageservices/create-user-delegation-sas
    https://learn.microsoft.com/rest/api/storageservices/create-account-sas
"""

from collections.abc import Mapping
from datetime import datetime, timezone
from functools import lru_cache
from typing import Final
from urllib.parse import quote, urlencode

from batchai_recipes.service.files.accounts import Account
from batchai_recipes.service.files.signing import sign

# The version of the signatures that this service makes; any client accepts it.
VERSION: Final = "2019-02-02"
# Since this version, an account SAS signs one more line, the encryption scope.
_ENCRYPTION_SCOPE_VERSION: Final = "2020-12-06"
# What a service SAS may set in the answer, by the parameter that says so.
OVERRIDES: Final = {
    "rscc": "Cache-Control",
    "rscd": "Content-Disposition",
    "rsce": "Content-Encoding",
    "rscl": "Content-Language",
    "rsct": "Content-Type",
}
# What a signature by a user delegation key says of that key, and of who may use it.
DELEGATED: Final = ("skoid", "sktid", "skt", "ske", "sks", "skv", "skdutid", "sduoid")
_FORMS: Final = {
    len("YYYY-MM-DD"): "%Y-%m-%d",
    len("YYYY-MM-DDThh:mmZ"): "%Y-%m-%dT%H:%MZ",
    len("YYYY-MM-DDThh:mm:ssZ"): "%Y-%m-%dT%H:%M:%SZ",
}


def service_string_to_sign(fields: Mapping[str, str], resource: str) -> str:
    """Return the text that a service SAS signs, by an account key or a user delegation key.

    Args:
        fields: The parameters of the SAS; absent ones sign as nothing.
        resource: The canonical resource, ``/file/ACCOUNT/SHARE[/path]``, decoded.
    """
    signer = DELEGATED if "skoid" in fields else ("si",)
    before = [fields.get(name, "") for name in ("sp", "st", "se")]
    after = [fields.get(name, "") for name in (*signer, "sip", "spr", "sv", *OVERRIDES)]
    return "\n".join([*before, resource, *after])


def account_string_to_sign(fields: Mapping[str, str], account: str) -> str:
    """Return the text that an account SAS signs.

    Args:
        fields: The parameters of the SAS; absent ones sign as nothing.
        account: The account's name.
    """
    names = ["sp", "ss", "srt", "st", "se", "sip", "spr", "sv"]
    if fields.get("sv", "") >= _ENCRYPTION_SCOPE_VERSION:
        names.append("ses")
    return "\n".join([account, *(fields.get(name, "") for name in names), ""])


def file_url(
    files_base: str,
    account: Account,
    share: str,
    path: str,
    *,
    expires_at: datetime,
    permissions: str = "rl",
) -> str:
    """Return a URL that lets anyone who has it use one file until a time.

    Args:
        files_base: Where the file service listens, ``http://HOST:PORT``.
        account: The storage account; its first key signs.
        share: The share.
        path: The file's path in the share, not percent-encoded.
        expires_at: When the URL stops working, aware.
        permissions: What it permits, of r, c, w, d and l, in this order.

    Returns:
        The URL, in path style.

    Raises:
        ValueError: `expires_at` is not aware.

    Example:
        >>> url = file_url(
        ...     "http://127.0.0.1:8080",
        ...     Account("demo", "a2V5", "a2V5"),
        ...     "data",
        ...     "logs/out 1.txt",
        ...     expires_at=datetime(2030, 1, 1, tzinfo=timezone.utc),
        ... )
        >>> url.partition("&sig=")[0]
        'http://127.0.0.1:8080/demo/data/logs/out%201.txt?sv=2019-02-02&sr=f&se=2030-01-01T00%3A00%3A00Z&sp=rl'
    """
    path = path.strip("/")
    query = _signed_query(account, "f", f"{share}/{path}", expires_at, permissions)
    return f"{files_base.rstrip('/')}/{account.name}/{share}/{quote(path)}?{query}"


def share_query(
    account: Account, share: str, *, expires_at: datetime, permissions: str = "rl"
) -> str:
    """Return the query that lets anyone who has it use a share until a time.

    Args:
        account: The storage account; its first key signs.
        share: The share.
        expires_at: When the query stops working, aware.
        permissions: What it permits, of r, c, w, d and l, in this order.

    Raises:
        ValueError: `expires_at` is not aware.

    Example:
        >>> share_query(
        ...     Account("demo", "a2V5", "a2V5"),
        ...     "data",
        ...     expires_at=datetime(2030, 1, 1, tzinfo=timezone.utc),
        ... ).partition("&sig=")[0]
        'sv=2019-02-02&sr=s&se=2030-01-01T00%3A00%3A00Z&sp=rl'
    """
    return _signed_query(account, "s", share, expires_at, permissions)


def _signed_query(
    account: Account, kind: str, place: str, expires_at: datetime, permissions: str
) -> str:
    if expires_at.tzinfo is None:
        raise ValueError("expires_at must be an aware time, such as datetime.now(timezone.utc)")
    fields = {
        "sv": VERSION,
        "sr": kind,
        "se": expires_at.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "sp": permissions,
    }
    text = service_string_to_sign(fields, f"/file/{account.name}/{place}")
    return urlencode({**fields, "sig": sign(account.key1, text)})


@lru_cache(maxsize=256)
def parse_time(text: str) -> datetime | None:
    """Read a time as a SAS writes it.

    Args:
        text: ``YYYY-MM-DD``, ``YYYY-MM-DDThh:mmZ`` or ``YYYY-MM-DDThh:mm:ssZ``, the last one with
            or without a fraction.

    Returns:
        The time in UTC, or None where the text is none.

    Example:
        >>> parse_time("2030-01-01T00:00Z")
        datetime.datetime(2030, 1, 1, 0, 0, tzinfo=datetime.timezone.utc)
    """
    whole, dot, fraction = text.partition(".")
    if dot and fraction[:-1].isdigit() and fraction.endswith("Z"):
        text = f"{whole}Z"
    form = _FORMS.get(len(text))
    if form is None:
        return None
    try:
        return datetime.strptime(text, form).replace(tzinfo=timezone.utc)
    except ValueError:
        return None

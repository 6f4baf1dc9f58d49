"""The storage account that file shares belong to."""

import base64
from typing import Final
from urllib.parse import urlsplit

from attrs import field, frozen

from batchai_recipes.errors import ConfigurationError

_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})


def _without_closing_slash(url: str) -> str:
    return url.rstrip("/")


@frozen
class StorageAccount:
    """A storage account, its key, and where its file shares are.

    Args:
        name: The account's name.
        key: One of its keys, base64; never shown.
        files_endpoint: The URL under which its shares are: ``https://ACCOUNT.file.core.windows.net``
            or, for a service that is addressed by path, ``http://HOST:PORT/ACCOUNT``.

    Example:
        >>> account = StorageAccount("demo", "a2V5", "http://127.0.0.1:10003/demo")
        >>> account.share_url("data")
        'http://127.0.0.1:10003/demo/data'
        >>> account
        StorageAccount(name='demo', files_endpoint='http://127.0.0.1:10003/demo')
    """

    name: str
    key: str = field(repr=False)
    files_endpoint: str = field(converter=_without_closing_slash)

    @classmethod
    def from_connection_string(
        cls, connection_string: str, *, files_endpoint: str | None = None
    ) -> "StorageAccount":
        """Read an account from a connection string, as the Azure portal and the CLI show it.

        Args:
            connection_string: ``AccountName=...;AccountKey=...`` with ``FileEndpoint``, or with
                ``EndpointSuffix`` and ``DefaultEndpointsProtocol``.
            files_endpoint: Where the account's shares are; None for what the string says.

        Raises:
            ConfigurationError: The string has no name, or no key in base64; it is not shown.

        Example:
            >>> StorageAccount.from_connection_string("AccountName=demo;AccountKey=a2V5==")
            StorageAccount(name='demo', files_endpoint='https://demo.file.core.windows.net')
        """
        parts = (part.partition("=") for part in connection_string.split(";"))
        values = {name.strip().lower(): value.strip() for name, _, value in parts}
        name, key = values.get("accountname"), values.get("accountkey")
        if not name or not key:
            raise ConfigurationError(
                "The storage connection string has no AccountName or no AccountKey: copy it whole, "
                "as `az storage account show-connection-string` prints it"
            )
        scheme = values.get("defaultendpointsprotocol") or "https"
        suffix = values.get("endpointsuffix") or "core.windows.net"
        told = values.get("fileendpoint") or f"{scheme}://{name}.file.{suffix}"
        return cls(name, checked_key(key, name), files_endpoint or told)

    @property
    def connection_string(self) -> str:
        """The connection string that Azure's storage clients take; it holds the key."""
        scheme = self.files_endpoint.partition(":")[0]
        return (
            f"DefaultEndpointsProtocol={scheme};AccountName={self.name};"
            f"AccountKey={self.key};FileEndpoint={self.files_endpoint};"
        )

    def share_url(self, share: str) -> str:
        """Return the URL of a share of this account.

        Args:
            share: The share's name.
        """
        return f"{self.files_endpoint}/{share}"


def checked_key(key: str, account: str) -> str:
    """Return the key of a storage account if requests can be signed with it.

    Args:
        key: The key.
        account: The account's name, for the message.

    Raises:
        ConfigurationError: It is no base64; it is not shown.

    Example:
        >>> checked_key("a2V5", "demo")
        'a2V5'
    """
    try:
        base64.b64decode(key)  # as the clients do when they sign
    except ValueError as error:
        raise ConfigurationError(
            f"The key of storage account {account!r} is no base64: copy it whole, as "
            f"`az storage account keys list` prints it"
        ) from error
    return key


def is_loopback(url: str) -> bool:
    """Tell whether a URL leads to this machine.

    Args:
        url: The URL.

    Example:
        >>> is_loopback("https://127.0.0.1:10003/demo")
        True
    """
    return urlsplit(url).hostname in _LOOPBACK

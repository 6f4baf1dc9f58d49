"""The storage account that file shares belong to."""

from attrs import field, frozen


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

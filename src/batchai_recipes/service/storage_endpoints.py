"""Where the file and blob services of storage accounts are, this service's own and others."""

from collections.abc import Mapping
from urllib.parse import urlsplit

from attrs import field, frozen

_LOOPBACK = {"127.0.0.1", "localhost", "::1"}
VARIABLE = "BATCHAI_RECIPES_BLOB_ENDPOINTS"
"""The variable that names the endpoints of blob services: ``ACCOUNT=URL``, blanks between them."""


@frozen
class StorageEndpoints:
    """The endpoints that this service knows of.

    Args:
        own_files: The base URL of the service's own file shares; empty for none.
        blobs: URLs of the blob services of accounts that are not at Azure's usual address.
    """

    own_files: str = ""
    blobs: Mapping[str, str] = field(factory=dict)

    def blob_service(self, account: str) -> str:
        """Return the URL of an account's blob service.

        Args:
            account: The account.

        Example:
            >>> StorageEndpoints().blob_service("demo")
            'https://demo.blob.core.windows.net'
        """
        return self.blobs.get(account) or f"https://{account}.blob.core.windows.net"

    def is_own(self, url: str) -> bool:
        """Tell whether a URL is of this service's own file shares.

        Args:
            url: The URL.

        Example:
            >>> StorageEndpoints("http://127.0.0.1:8080").is_own("http://localhost:8080/demo/data")
            True
        """
        mine, theirs = urlsplit(self.own_files), urlsplit(url)
        if not mine.hostname or not theirs.hostname:
            return False
        hosts = {mine.hostname, theirs.hostname}
        return mine.port == theirs.port and (len(hosts) == 1 or hosts <= _LOOPBACK)


def file_service_of(share_url: str) -> str:
    """Return the URL of the file service that a share's URL is of.

    Args:
        share_url: The share's URL, in host style or in path style.

    Example:
        >>> file_service_of("https://demo.file.core.windows.net/data")
        'https://demo.file.core.windows.net'
        >>> file_service_of("http://127.0.0.1:8080/demo/data/")
        'http://127.0.0.1:8080/demo'
    """
    return share_url.rstrip("/").rpartition("/")[0]


def parse_blob_endpoints(words: str) -> dict[str, str]:
    """Read the endpoints of blob services.

    Args:
        words: ``ACCOUNT=URL``, any number of them, blanks between.

    Raises:
        ValueError: One of them is not of that form.

    Example:
        >>> parse_blob_endpoints("demo=http://127.0.0.1:10000/demo")
        {'demo': 'http://127.0.0.1:10000/demo'}
    """
    found: dict[str, str] = {}
    for word in words.split():
        account, _, url = word.partition("=")
        parts = urlsplit(url)
        if not account or parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError(
                f"{word!r} is not the endpoint of a blob service: write ACCOUNT=URL, as in "
                "demo=http://127.0.0.1:10000/demo"
            )
        found[account] = url.rstrip("/")
    return found

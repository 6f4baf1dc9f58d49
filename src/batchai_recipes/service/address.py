"""Where a service listens and what one needs to talk to it."""

import json
import shlex
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from attrs import asdict, field, frozen, validators

HOST_STYLE_SUFFIX: Final = "file.core.localhost"
"""What follows the account in the host name of a host-style address."""


@frozen
class ServiceAddress:
    """Everything a client of a running service has to be told.

    Args:
        endpoint: The management plane's URL, ``https://127.0.0.1:PORT``; tokens come from it too.
        ca_file: The certificate of the service's private authority (PEM).
        tenant_id: The tenant of the service principal.
        client_id: The service principal.
        client_secret: Its secret.
        subscription_id: The only subscription of the service.
        account_name: The storage account that the service owns.
        account_key: Its key, base64.
        files_endpoint: The file shares' URL with the account, ``http://127.0.0.1:PORT/ACCOUNT``.
        secure_files_endpoint: The same by https, at another port.
        pid: The process id of the service.
        until_unused: Whether it stops by itself when the last program that uses it has gone.
        only_files: Whether it has no management plane: tokens alone come from `endpoint`.
    """

    endpoint: str
    ca_file: str
    tenant_id: str
    client_id: str
    client_secret: str = field(repr=False)
    subscription_id: str
    account_name: str
    account_key: str = field(repr=False)
    files_endpoint: str
    secure_files_endpoint: str
    pid: int = field(validator=validators.instance_of(int))
    until_unused: bool = False
    only_files: bool = False

    @property
    def storage_connection_string(self) -> str:
        """The connection string that Azure's storage clients take: http, in path style."""
        return self._connection_string(self.files_endpoint)

    @property
    def connection_strings(self) -> dict[str, str]:
        """All connection strings of the storage account, by environment variable.

        Those in host style need a system that finds names under ``localhost``, or a line in its
        file of hosts.
        """
        name = "AZURE_STORAGE_CONNECTION_STRING"
        return {
            name: self.storage_connection_string,
            f"{name}_HTTPS": self._connection_string(self.secure_files_endpoint),
            f"{name}_HOST_STYLE": self._connection_string(self._host_style(self.files_endpoint)),
            f"{name}_HOST_STYLE_HTTPS": self._connection_string(
                self._host_style(self.secure_files_endpoint)
            ),
        }

    def environment(self) -> dict[str, str]:
        """Return the environment variables that configure clients for this service."""
        management = {
            "BATCHAI_ENDPOINT": self.endpoint,
            "AZURE_SUBSCRIPTION_ID": self.subscription_id,
        }
        return {
            **({} if self.only_files else management),
            "BATCHAI_CA_FILE": self.ca_file,
            "REQUESTS_CA_BUNDLE": self.ca_file,
            "NODE_EXTRA_CA_CERTS": self.ca_file,
            "AZURE_AUTHORITY_HOST": self.endpoint,
            "AZURE_TENANT_ID": self.tenant_id,
            "AZURE_CLIENT_ID": self.client_id,
            "AZURE_CLIENT_SECRET": self.client_secret,
            "AZURE_STORAGE_ACCOUNT": self.account_name,
            "AZURE_STORAGE_KEY": self.account_key,
            **self.connection_strings,
            "BATCHAI_FILES_ENDPOINT": self.files_endpoint,
            "BATCHAI_FILES_HTTPS_ENDPOINT": self.secure_files_endpoint,
        }

    def as_shell(self) -> str:
        """Return :meth:`environment` as shell assignments, one a line."""
        return "".join(
            f"{name}={shlex.quote(value)}\n" for name, value in self.environment().items()
        )

    def as_json(self) -> str:
        """Return the address as JSON, for the address file."""
        return json.dumps(asdict(self), indent=2)

    @classmethod
    def from_file(cls, path: Path) -> "ServiceAddress":
        """Read an address file.

        Args:
            path: The file that a running service wrote.

        Raises:
            FileNotFoundError: No service is running.
            ValueError: The file is not an address file.
        """
        try:
            return cls(**json.loads(path.read_text(encoding="utf-8")))
        except TypeError as error:
            raise ValueError(f"{path} is not the address file of a service: {error}") from error

    def _connection_string(self, endpoint: str) -> str:
        scheme = urlsplit(endpoint).scheme
        return (
            f"DefaultEndpointsProtocol={scheme};AccountName={self.account_name};"
            f"AccountKey={self.account_key};FileEndpoint={endpoint};"
        )

    def _host_style(self, endpoint: str) -> str:
        parts = urlsplit(endpoint)
        return f"{parts.scheme}://{self.account_name}.{HOST_STYLE_SUFFIX}:{parts.port}"

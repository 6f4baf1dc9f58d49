"""Where a service listens and what one needs to talk to it."""

import json
import shlex
from pathlib import Path

from attrs import asdict, field, frozen, validators


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
        pid: The process id of the service.
        until_unused: Whether it stops by itself when the last program that uses it has gone.
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
    pid: int = field(validator=validators.instance_of(int))
    until_unused: bool = False

    @property
    def storage_connection_string(self) -> str:
        """The connection string that Azure's storage clients take."""
        return (
            f"DefaultEndpointsProtocol=http;AccountName={self.account_name};"
            f"AccountKey={self.account_key};FileEndpoint={self.files_endpoint};"
        )

    def environment(self) -> dict[str, str]:
        """Return the environment variables that configure clients for this service."""
        return {
            "BATCHAI_ENDPOINT": self.endpoint,
            "BATCHAI_CA_FILE": self.ca_file,
            "REQUESTS_CA_BUNDLE": self.ca_file,
            "AZURE_AUTHORITY_HOST": self.endpoint,
            "AZURE_TENANT_ID": self.tenant_id,
            "AZURE_CLIENT_ID": self.client_id,
            "AZURE_CLIENT_SECRET": self.client_secret,
            "AZURE_SUBSCRIPTION_ID": self.subscription_id,
            "AZURE_STORAGE_ACCOUNT": self.account_name,
            "AZURE_STORAGE_KEY": self.account_key,
            "AZURE_STORAGE_CONNECTION_STRING": self.storage_connection_string,
            "BATCHAI_FILES_ENDPOINT": self.files_endpoint,
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
